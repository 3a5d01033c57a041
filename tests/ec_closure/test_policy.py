from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import policy
from ec_closure.errors import EcError, LimitError
from ec_closure.findings import KINDS
from ec_closure.policy import Freshness, Policy, PolicyError, Unreproducible
from ec_closure.signing import SecretKey

KEY = SecretKey("cache.test-1", bytes(32)).public.render()
OTHER_KEY = SecretKey("cache.test-1", bytes(31) + b"1").public.render()

WHOLE = f"""
schema = "ec-runner.policy.v1"
level = "rebuild"
allowed_unlisted = ["*-nixos-system-*"]
allowed_extra = []
allowed_upper = ["/etc/machine-id"]
cache_keys = ["{KEY}"]

[severity]
EV205 = "info"
EV501 = "fail"

[freshness]
max_lag = 0
max_age_days = 3

[[unreproducible]]
pattern = "man-db-*"
owner = "release engineering"
reason = "the index is written in directory order"
link = "https://example.org/1"
expires = 2026-12-31

[[unreproducible]]
pattern = "*"
owner = "release engineering"
reason = "last of all"
expires = 2025-01-01
"""

ACCEPT = "[[accept]]\ncode='{}'\npattern='x'\nowner='o'\nreason='r'\nexpires=2027-01-01"


def decode(text: str) -> Policy:
    """Decode a policy."""
    return policy.decode(text.encode(), what="p.toml")


class TestReading:
    """What operators may write."""

    def test_every_key_is_read(self) -> None:
        """As documented in the schema."""
        assert decode(WHOLE) == Policy(
            level="rebuild",
            severity={"EV205": "info", "EV501": "fail"},
            freshness=Freshness(max_lag=0, max_age_days=3),
            allowed_unlisted=("*-nixos-system-*",),
            allowed_upper=("/etc/machine-id",),
            cache_keys=(KEY,),
            unreproducible=(
                Unreproducible(
                    pattern="man-db-*",
                    owner="release engineering",
                    reason="the index is written in directory order",
                    link="https://example.org/1",
                    expires=datetime.date(2026, 12, 31),
                ),
                Unreproducible(
                    pattern="*",
                    owner="release engineering",
                    reason="last of all",
                    expires=datetime.date(2025, 1, 1),
                ),
            ),
        )

    def test_an_empty_policy_is_the_default_one(self) -> None:
        """Which asks for the level of the daily timer and allows nothing."""
        assert decode("") == Policy()
        assert (Policy().level, Policy().allowed_unlisted, Policy().allowed_extra) == ("source", (), ())
        assert (Policy().cache_keys, Policy().unreproducible) == ((), ())

    def test_severity_is_the_policys_or_the_catalogues(self) -> None:
        """A code that policy does not mention weighs what the catalogue says."""
        found = decode(WHOLE)

        assert found.severity_of("EV501") == "fail"
        assert found.severity_of("EV205") == "info"
        assert {found.severity_of(code) for code in ("EV201", "EV206")} == {"fail"}
        assert all(Policy().severity_of(code) == kind.severity for code, kind in KINDS.items())

    def test_the_first_entry_of_the_register_that_fits_counts(self) -> None:
        """Expired or not: the judge, who has a clock, must see that it has expired."""
        found = decode(WHOLE)
        first, last = found.unreproducible

        assert found.known_unreproducible("man-db-2.12") == first
        assert found.known_unreproducible("glibc-2.40") == last
        assert found.known_unreproducible("MAN-DB-2.12") == last
        assert Policy(unreproducible=(first,)).known_unreproducible("glibc-2.40") is None

    @pytest.mark.parametrize(
        ("name", "pattern", "fits"),
        [
            ("0a-x", "*-x", True),
            ("0a-x", "*-X", False),
            ("0a-x", "x", False),
            ("0a-x.drv", "*-x", False),
            ("0a-x", "0?-[xy]", True),
            ("0a-x", "0?-[!xy]", False),
        ],
    )
    def test_patterns_are_the_shells(self, name: str, pattern: str, *, fits: bool) -> None:
        """On the whole name, with case."""
        assert policy.matches(name, ("none", pattern)) is fits
        assert not policy.matches(name, ())

    @pytest.mark.parametrize("pattern", ["[abc]", "[!a]", "[]a]", "[!]a]", "[[]", "a]", "[a-z]*[0-9]", "[[a]"])
    def test_brackets_that_are_closed_are_no_mistake(self, pattern: str) -> None:
        """Nor is one that stands for itself."""
        assert (pattern,) == decode(f"systems = ['{pattern}']").systems

    @pytest.mark.parametrize(
        ("path", "about"),
        [
            ("/nix/store/00000000000000000000000000000000-tool-1.2", "tool-1.2"),
            ("/nix/store/00000000000000000000000000000000-tool-1.2/bin/tool", "tool-1.2"),
            ("/nix/store/lost+found", "lost+found"),
            ("/nix/store/.links/0abc", ".links"),
            ("/nix/storehouse/x", "/nix/storehouse/x"),
            ("/etc/passwd", "/etc/passwd"),
            (None, ""),
        ],
    )
    def test_a_finding_is_about_a_name_or_a_path(self, path: str | None, about: str) -> None:
        """Hashes change with every release: a name does not."""
        assert about == policy.subject(path, "/nix/store")

    def test_a_pattern_cannot_stall(self) -> None:
        """Many stars on a long name that almost fits: matched without trying every way to divide it."""
        assert not policy.matches("a" * 200 + "b", ("*a" * 100 + "*c",))


class TestRefused:
    """What is an error, and where it is."""

    @pytest.mark.parametrize(
        ("text", "place", "message"),
        [
            ("levl = 'full'", "p.toml", "unknown field `levl`"),
            ("[freshness]\nmax = 1", "p.toml: freshness", "unknown field `max`"),
            ("[[unreproducible]]\nwhy = 1", "p.toml: unreproducible[0]", "unknown field `why`"),
            ("level = 'everything'", "p.toml: level", "Invalid enum value 'everything'"),
            ("level = 3", "p.toml: level", "Expected `str`, got `int`"),
            ("schema = 'ec-runner.policy.v2'", "p.toml: schema", "Invalid enum value"),
            ("allowed_extra = '*'", "p.toml: allowed_extra", "Expected `array`, got `str`"),
            ("allowed_extra = ['']", "p.toml: allowed_extra[0]", "length >= 1"),
            ("allowed_extra = ['a', \"b\\n\"]", "p.toml: allowed_extra[1]", "matching regex"),
            ("[severity]\nEV201 = 'low'", "p.toml: severity[...]", "Invalid enum value 'low'"),
            ("[severity]\nEV299 = 'fail'", "p.toml: severity", "no finding has the code 'EV299'"),
            ("[severity]\nev201 = 'fail'", "p.toml: severity", "no finding has the code 'ev201'"),
            ("[severity]\n\"\\u001b[2J\" = 'fail'", "p.toml: severity", r"no finding has the code '\\x1b[2J'"),
            ("[freshness]\nmax_lag = -1", "p.toml: freshness.max_lag", ">= 0"),
            ("[freshness]\nmax_age_days = 0", "p.toml: freshness.max_age_days", ">= 1"),
            ("[freshness]\nmax_age_days = 1.5", "p.toml: freshness.max_age_days", "Expected `int`"),
            ("[freshness]\nmax_age_days = true", "p.toml: freshness.max_age_days", "Expected `int`"),
            (
                "[[unreproducible]]\npattern='x'\nowner='x'\nreason='x'",
                "p.toml: unreproducible[0]",
                "missing required field `expires`",
            ),
            (
                "[[unreproducible]]\npattern='x'\nowner='x'\nexpires=2026-01-01",
                "p.toml: unreproducible[0]",
                "missing required field `reason`",
            ),
            (
                "[[unreproducible]]\npattern='x'\nowner='x'\nreason='x'\nexpires='soon'",
                "p.toml: unreproducible[0].expires",
                "Expected `date`, got `str`",
            ),
            (
                "[[unreproducible]]\npattern='x'\nowner='x'\nreason='x'\nexpires=2026-01-01T00:00:00Z",
                "p.toml: unreproducible[0].expires",
                "Expected `date`",
            ),
            ("systems = ['a[b']", "p.toml: systems[0]", "'a[b' has a bracket that is not closed"),
            ("[metadata]\ntimes = ['[]']", "p.toml: metadata.times[0]", "not closed"),
            ("[metadata]\ngroups = [-1]", "p.toml: metadata.groups[0]", ">= 0"),
            ("[metadata]\nmodes = ['*']", "p.toml: metadata", "unknown field `modes`"),
            (ACCEPT.format("EV299"), "p.toml: accept[0].code", "no finding has the code 'EV299'"),
            (ACCEPT.format("EV504"), "p.toml: accept[0].code", "EV504 speaks of entries of this file"),
            (ACCEPT.format("EV910"), "p.toml: accept[0].code", "cannot be accepted"),
            (ACCEPT.format("EV201").replace("'x'", "'[!'"), "p.toml: accept[0].pattern", "not closed"),
            ("cache_keys = ['cache.test-1']", "p.toml: cache_keys", "name:base64"),
            ("cache_keys = ['cache.test-1:AAAA']", "p.toml: cache_keys", "has 3 bytes, not 32"),
            (f"cache_keys = ['{KEY}', '{OTHER_KEY}']", "p.toml: cache_keys", "two different public keys"),
            ("level = full", "p.toml: line 1, column 9", "Invalid value"),
            ("\n\nlevel 'full'", "p.toml: line 3, column 7", "Expected '='"),
            ("level = 'full'\nlevel = 'full'", "p.toml: end of document", "Cannot overwrite a value"),
            ("[severity]\n[severity]", "p.toml: line 2, column 10", "Cannot declare"),
            ("level = 'full", "p.toml: end of document", "Expected"),
        ],
    )
    def test_an_error_is_named_with_its_place(self, text: str, place: str, message: str) -> None:
        """The key, or where the text stops being TOML, and on one line what was expected."""
        with pytest.raises(PolicyError) as caught:
            decode(text)

        assert caught.value.place == place
        assert message in caught.value.message
        assert str(caught.value).isprintable()

    def test_what_helps_is_hinted_at(self) -> None:
        """A document of this repository that lists what may stand there."""
        for text, document in (("levl = 1", "docs/policy.md"), ("severity.EV0 = 'fail'", "docs/findings.md")):
            with pytest.raises(PolicyError) as caught:
                decode(text)
            assert str(caught.value.hint).startswith(f"{document} ")
            assert (Path(__file__).parents[2] / document).exists()

    @pytest.mark.parametrize(
        "data", [b"\xff", b"level = '\xff'", b"\xef\xbb\xbflevel = 'full'", b"\0", b"a = 1\rb = 2"]
    )
    def test_what_is_not_text_is_refused(self, data: bytes) -> None:
        """TOML is UTF-8 without a mark."""
        with pytest.raises(PolicyError, match=r"^p\.toml"):
            policy.decode(data, what="p.toml")

    @pytest.mark.parametrize(
        "text",
        ["a = " + "[" * 50_000, "a = " + "{a=" * 50_000, "a = " + "[" * 50_000 + "]" * 50_000, "[" + "a." * 999 + "a]"],
    )
    def test_deep_policies_are_refused(self, text: str) -> None:
        """Fifty thousand levels are an error like any other."""
        with pytest.raises(PolicyError):
            decode(text)

    def test_a_large_policy_is_refused_unread(self) -> None:
        """By its size alone."""
        assert policy.decode(b"\n" * policy.MAX_BYTES) == Policy()
        with pytest.raises(LimitError, match=r"^p\.toml: 1048577 bytes where at most 1048576"):
            policy.decode(b"\xff" * (policy.MAX_BYTES + 1), what="p.toml")

    @given(st.binary(max_size=60) | st.text("[]{}=.,'\"#\n ae0schema", max_size=60).map(str.encode))
    def test_any_bytes_are_read_or_refused_with_an_error_of_ours(self, data: bytes) -> None:
        """Nothing else comes out."""
        try:
            found = policy.decode(data)
        except EcError:
            return
        assert found == Policy()
