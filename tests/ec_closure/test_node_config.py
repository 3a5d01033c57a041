"""node.toml and node.json: every mistake is found when it is read, and no secret leaves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import node_config, toml_text
from ec_closure.broadcast import Broadcast, BroadcastError
from ec_closure.errors import BadInputError, EcError, LimitError
from ec_closure.node_config import DashboardTable, NodeApplied, NodeConfig, NodeConfigError
from ec_closure.ssh_key import SshKeyError
from ec_closure.strict_json import JsonError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TOKEN = "s3cr3t-Z9"  # noqa: S105 - a token to look for
SCHEMA = 'schema = "ec-runner.node.v1"\n'
WHOLE = f"""{SCHEMA}
name = "runner-7"
ssh_keys = ["{KEY} operator", 'restrict ssh-rsa AAAA']
[dashboard]
url = "https://dashboard.example.org"
token = "{TOKEN}"
[[broadcast]]
name = "channel-4"
input = "hdhomerun://10A1B2C3/4.1"
""".replace(", 'restrict ssh-rsa AAAA'", "")


def decode(text: str) -> NodeConfig:
    """Decode a node's data."""
    return node_config.decode(text.encode(), what="n.toml")


def failure(text: str) -> EcError:
    """Return the error that *text* is refused with."""
    with pytest.raises(BadInputError) as caught:
        decode(text)
    return caught.value


class TestReading:
    """What operators may write."""

    def test_every_key_is_read(self) -> None:
        """As documented."""
        assert decode(WHOLE) == NodeConfig(
            schema="ec-runner.node.v1",
            name="runner-7",
            ssh_keys=(f"{KEY} operator",),
            dashboard=DashboardTable(url="https://dashboard.example.org", token=TOKEN),
            broadcast=(Broadcast(name="channel-4", input="hdhomerun://10A1B2C3/4.1"),),
        )

    def test_only_the_schema_must_be_there(self) -> None:
        """A node that has nothing of its own says so."""
        found = decode(SCHEMA)

        assert (None, (), None, ()) == (found.name, found.ssh_keys, found.dashboard, found.broadcast)

    def test_line_ends_of_other_systems_are_read(self) -> None:
        """Sticks are written on desks."""
        assert decode(WHOLE) == decode(WHOLE.replace("\n", "\r\n"))

    @pytest.mark.parametrize("name", ["a", "runner-7", "7", "a" * 63])
    def test_a_label_of_a_host_is_a_name(self, name: str) -> None:
        """Up to 63 characters."""
        assert name == decode(f'{SCHEMA}name = "{name}"').name

    @pytest.mark.parametrize(
        "name", ["", "-a", "a-", "a.b", "a_b", "Runner", "a b", "a\\n", "a/b", "..", "ä", "a" * 64, "%i", "$(x)"]
    )
    def test_nothing_else_is_a_name(self, name: str) -> None:
        """It becomes the host name, and stands in logs and addresses."""
        error = failure(f'{SCHEMA}name = "{name}"')

        assert ("n.toml: name", "is not written as this key must be") == (error.place, error.message)
        assert "runner-7" in str(error.hint)

    @pytest.mark.parametrize(
        "url",
        [
            "https://a.example",
            "https://a.example:8443/base/",
            "https://[2001:db8::1]",
            "http://localhost:8080",
            "http://127.0.0.2/",
            "http://[::1]:8080/",
        ],
    )
    def test_dashboards_have_https_or_are_here(self, url: str) -> None:
        """The token must not travel in the clear."""
        found = decode(f'{SCHEMA}[dashboard]\nurl = "{url}"').dashboard

        assert found is not None
        assert (url, None) == (found.url, found.token)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "a.example",
            "http://a.example",
            "http://localhost.a.example",
            "http://127.0.0.1.a.example",
            "http://0.0.0.0",
            "http://a@127.0.0.1",
            "https://",
            "https://:443",
            "https://u:p@a.example",
            "https://@a.example",
            "https://a.example:99999",
            "https://a.example:x",
            "https://[::1",
            "https://a.example/?q",
            "https://a.example/#f",
            "https://a.example/ b",
            "https://a.example\\n",
            "https://ä.example",
            "ftp://a.example",
            "file:///etc/shadow",
            f"https://{'a' * 1024}",
        ],
    )
    def test_nothing_else_is_a_dashboard(self, url: str) -> None:
        """Wherever the mistake is, the key is named."""
        assert "n.toml: dashboard.url" == failure(f'{SCHEMA}[dashboard]\nurl = "{url}"').place

    @pytest.mark.parametrize("token", ["", "a b", "a\\n", "a\\r\\nX: y", "\\u0000", "ä", "a" * 4097])
    def test_a_token_is_one_word(self, token: str) -> None:
        """It becomes a header. What it was is not repeated."""
        error = failure(f'{SCHEMA}[dashboard]\nurl = "https://a.example"\ntoken = "{token}"')

        assert "n.toml: dashboard.token" == error.place


class TestMistakes:
    """What is refused, and what is said about it."""

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("", "n.toml"),
            ('schema = "ec-runner.node.v2"', "n.toml: schema"),
            (f"{SCHEMA}hostname = 1", "n.toml"),
            (f'{SCHEMA}name = "a"\nname = "b"\nssh_keys = []', "n.toml: line 3, column 11"),
            (f'{SCHEMA}[dashboard]\nurl = "https://a"\n[dashboard]\n', "n.toml: line 4, column 11"),
            (f'{SCHEMA}[dashboard]\nurl = "https://a"\nother = 1', "n.toml: dashboard"),
            (f"{SCHEMA}ssh_keys = 'x'", "n.toml: ssh_keys"),
            (f"{SCHEMA}ssh_keys = {['x'] * 101}", "n.toml: ssh_keys"),
            (f"{SCHEMA}ssh_keys = ['{KEY}', 3]", "n.toml: ssh_keys[1]"),
            (f"{SCHEMA}[dashboard]\n", "n.toml: dashboard"),
            (f"{SCHEMA}broadcast = {{}}", "n.toml: broadcast"),
            (f"{SCHEMA}[[broadcast]]\nname = 'a'", "n.toml: broadcast[0]"),
            (f"{SCHEMA}[[broadcast]]\nname = '../a'\ninput = 'test:'", "n.toml: broadcast[0].name"),
            (f"{SCHEMA}x = {'[' * 5000}", "n.toml"),
            (f"\ufeff{SCHEMA}", "n.toml"),
        ],
    )
    def test_a_mistake_is_named_with_its_place(self, text: str, place: str) -> None:
        """And with what to do about it."""
        error = failure(text)

        assert isinstance(error, NodeConfigError)
        assert (place, True) == (error.place, bool(error.hint) or error.message == "nested too deep")

    def test_broadcasts_have_names_of_their_own(self) -> None:
        """Each becomes a file and a unit."""
        one = "[[broadcast]]\nname = 'a'\ninput = 'test:'\n"
        error = failure(SCHEMA + one + one)

        assert ("n.toml: broadcast[1].name", "broadcast[0] is called a, too") == (error.place, error.message)

    def test_broadcasts_are_held_to_their_own_rules(self) -> None:
        """Those of the format that their units read."""
        error = failure(f"{SCHEMA}[[broadcast]]\nname = 'a'\ninput = 'b'")

        assert isinstance(error, BroadcastError)
        assert "n.toml: broadcast[0].input" == error.place

    def test_a_key_is_held_to_the_rules_of_keys(self) -> None:
        """Its number says which one."""
        error = failure(f"{SCHEMA}ssh_keys = ['{KEY}', 'command=\"x\" {KEY}']")

        assert isinstance(error, SshKeyError)
        assert "n.toml: ssh_keys[1]" == error.place

    def test_one_key_with_two_sets_of_options_is_refused(self) -> None:
        """The line without options would undo the other."""
        error = failure(f"{SCHEMA}ssh_keys = ['restrict {KEY}', '{KEY} again']")

        assert ("n.toml: ssh_keys[1]", "is the same key as ssh_keys[0]") == (error.place, error.message)

    @pytest.mark.parametrize("data", [b"\xff\xfes\0c\0", SCHEMA.encode() + b'name = "\xe4"'])
    def test_other_encodings_are_refused_without_repeating_them(self, data: bytes) -> None:
        """Some editors write UTF-16."""
        with pytest.raises(NodeConfigError, match="is no UTF-8 at byte") as caught:
            node_config.decode(data)

        assert "save it as UTF-8" == caught.value.hint

    def test_what_is_too_large_is_not_parsed(self) -> None:
        """Neither a file without end nor a line on which a reader of TOML would sit for minutes."""
        with pytest.raises(LimitError):
            node_config.decode(b"#" * (node_config.MAX_BYTES + 1))
        with pytest.raises(LimitError) as caught:
            decode(f"{SCHEMA}{'a.' * node_config.MAX_LINE}a = 1")
        assert "n.toml: line 2" == caught.value.place

    @given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: (SCHEMA + text).encode()))
    def test_bytes_are_refused_with_an_error_of_ours(self, data: bytes) -> None:
        """Or accepted."""
        try:
            node_config.decode(data)
        except BadInputError as error:
            assert str(error).isprintable()  # noqa: PT017 - both ways are right


class TestSecrets:
    """Where the token does not go."""

    def test_no_representation_shows_the_token(self) -> None:
        """Those stand in logs and tracebacks."""
        found = decode(WHOLE)

        assert TOKEN not in f"{found!r} {found} {found.dashboard!r}"
        assert "token=None" in repr(DashboardTable(url="https://a"))

    def test_what_was_applied_does_not_hold_it(self) -> None:
        """Everybody may read node.json."""
        told = node_config.applied(decode(WHOLE), source="file", digest="0" * 64)

        assert TOKEN.encode() not in node_config.encode_applied(told)

    @pytest.mark.parametrize(
        "line",
        [
            f"token = {TOKEN}",
            f'token = "{TOKEN}',
            f'token = "{TOKEN} {TOKEN}"',
            f'token = ["{TOKEN}"]',
            f'token = "{TOKEN}"\ntoken = "{TOKEN}"',
            f'token = "{TOKEN}\\x"',
            f'token = "{TOKEN}" "{TOKEN}"',
        ],
    )
    def test_a_mistake_in_its_line_does_not_repeat_it(self, line: str) -> None:
        """Messages go into the journal."""
        error = failure(f'{SCHEMA}[dashboard]\nurl = "https://a.example"\n{line}\n')

        assert TOKEN not in f"{error} {error.hint} {error.__cause__!r}"


class TestApplied:
    """What a node says of itself."""

    def test_it_tells_names_and_fingerprints(self) -> None:
        """And which bytes it came from."""
        digest = hashlib.sha256(WHOLE.encode()).hexdigest()
        told = node_config.applied(decode(WHOLE), source="url", digest=digest, ignored=("file",))

        assert told == NodeApplied(
            name="runner-7",
            source="url",
            digest=digest,
            ignored=("file",),
            dashboard="https://dashboard.example.org",
            ssh_keys=("SHA256:tAXFyTXI8xtDaujAEcwJslAYc9/6FKcUkd2Lw0xDhPo",),
            broadcasts=("channel-4",),
        )

    def test_what_is_written_is_what_is_read(self) -> None:
        """By whoever reports it."""
        for told in (
            node_config.applied(decode(WHOLE), source="file", digest="0" * 64),
            node_config.applied(None, source="none", digest=None),
        ):
            assert told == node_config.decode_applied(node_config.encode_applied(told))

    @pytest.mark.parametrize(
        "text", ["", "[]", '{"name": 1}', '{"name": "a", "name": "b"}', '{"x": 1}', '{"source": "stick"}', "[" * 100]
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        """It lies where root alone writes, and is read as strictly as the rest."""
        with pytest.raises((JsonError, LimitError)):
            node_config.decode_applied(text.encode())


@given(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", fullmatch=True),
    st.lists(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True), max_size=5, unique=True),
    st.from_regex(r"[!-~]{1,30}", fullmatch=True),
)
def test_what_is_well_formed_is_accepted(name: str, broadcasts: list[str], token: str) -> None:
    """Whatever names and tokens people choose."""
    parts = [toml_text.render({"schema": "ec-runner.node.v1", "name": name})]
    parts += [toml_text.render({"dashboard": {"url": "https://a.example", "token": token}})]
    parts += ["[[broadcast]]\n" + toml_text.render({"name": one, "input": "test:"}) for one in broadcasts]
    found = decode("\n".join(parts))

    assert (name, token, broadcasts) == (
        found.name,
        found.dashboard and found.dashboard.token,
        [one.name for one in found.broadcast],
    )
