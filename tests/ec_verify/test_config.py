"""verify.toml and the policy it names: every mistake is found when they are read, with its key."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.errors import BadInputError, EcError
from ec_closure.policy import Policy
from ec_closure.signing import SecretKey
from ec_verify import config
from ec_verify.config import Config, decode, load, read_file
from ec_verify.errors import ConfigError
from ec_verify.location import StoreLocation

if TYPE_CHECKING:
    from collections.abc import Callable

BOTH = 'metadata_base = "https://x.org/trust/"\ntarget_base = "https://x.org/"\n'


class TestFile:
    """The whole file."""

    def test_an_empty_file_holds_the_defaults(self) -> None:
        """Nothing must be written that need not be."""
        assert Config() == decode(b"")

    def test_what_is_written_is_what_is_read(self) -> None:
        """Every table."""
        found = decode(
            b'node = "n"\nstate_dir = "/s"\npolicy = ""\n[store]\nroot = "/mnt"\n[trust]\nroot = ""\n'
            + BOTH.encode()
            + b'[nix]\nsandbox_paths = ["/bin/sh=/x"]\n[rebuild]\nscratch = "tmpfs:2G"\njobs = 3\n[report]\nkeep = 7\n'
        )

        assert ("n", Path("/s"), Path("/mnt"), ("/bin/sh=/x",), "tmpfs:2G", 3, 7) == (
            found.node,
            found.state,
            found.location.root,
            found.nix.sandbox_paths,
            found.rebuild.scratch,
            found.rebuild.jobs,
            found.report.keep,
        )

    def test_nix_is_told_what_the_operator_decided(self) -> None:
        """Settings of the file and keys of the policy come together."""
        settings = decode(
            b'[nix]\nprogram = "/x/nix"\nsubstituters = ["file:///c"]\n[rebuild]\ntimeout = 5\n'
        ).nix_settings(Policy(cache_keys=("k",)))

        assert ("/x/nix", ("file:///c",), ("k",), 5) == (
            settings.program,
            settings.substituters,
            settings.trusted_keys,
            settings.timeout,
        )

    @pytest.mark.parametrize(
        ("text", "place"),
        [
            ("nonsense", "end of document"),
            ("node = ", "end of document"),
            ("a = 1\na = 2\nb = 3", "line 2"),
            ("\xff", ""),
            ("unknown = 1", "unknown"),
            ("[store]\nfoo = 1", "foo"),
            ("[unknown]", "unknown"),
            ('schema = "ec-runner.verify.v2"', "schema"),
            ("node = 7", "node"),
            ('node = ""', "node"),
            ('node = "a\\nb"', "node"),
            ('node = "a\\n"', "node"),
            ('node = "\\u001b[2K"', "node"),
            ("store = 7", "store"),
            ('state_dir = "relative"', "state_dir"),
            ('state_dir = ""', "state_dir"),
            ('state_dir = "/a\\n"', "state_dir"),
            ('policy = "relative"', "policy"),
            ('[store]\nroot = "x"', "store.root"),
            ('[store]\ndir = "nix/store"', "store.dir"),
            ('[trust]\nroot = "x"', "trust.root"),
            ('[trust]\ntoken_file = "x"', "trust.token_file"),
            ('[trust]\nproxy = "proxy:3128"', "trust.proxy"),
            ("[trust]\ndeadline = 0", "trust.deadline"),
            ("[trust]\ndeadline = 1.5", "trust.deadline"),
            ('[trust]\nmetadata_base = "ftp://x/"', "trust.metadata_base"),
            ('[trust]\nmetadata_base = "https://x/no-slash"', "trust.metadata_base"),
            ('[source]\nflake = "x"', "source.flake"),
            ('[source]\nattr = "a b"', "source.attr"),
            ('[source]\nattr = "a;b"', "source.attr"),
            ('[source]\nattr = "a\\n"', "source.attr"),
            ('[system]\ncurrent = ""', "system.current"),
            ('[nix]\nprogram = ""', "nix.program"),
            ('[nix]\nsubstituters = "x"', "nix.substituters"),
            ("[rebuild]\njobs = -1", "rebuild.jobs"),
            ("[rebuild]\njobs = 1025", "rebuild.jobs"),
            ("[rebuild]\ntimeout = 0", "rebuild.timeout"),
            ("[rebuild]\nsilent = 0", "rebuild.silent"),
            ("[budget]\ndisk = '20'", "budget.disk"),
            ("[budget]\nmemory = '0G'", "budget.memory"),
            ("[budget]\ncpu_weight = 10001", "budget.cpu_weight"),
            ('[report]\nurl = "dashboard"', "report.url"),
            ('[report]\nurl = "file:///x"', "report.url"),
            ('[report]\ntextfile = "x.prom"', "report.textfile"),
            ("[report]\nkeep = 0", "report.keep"),
        ],
    )
    def test_each_mistake_is_told_with_its_place(self, text: str, place: str) -> None:
        """One printable line that names file and key, and where to look them up."""
        with pytest.raises(ConfigError) as caught:
            decode(text.encode("latin-1"))

        assert ("verify.toml", True) == ((caught.value.place or "").partition(":")[0], place in str(caught.value))
        assert str(caught.value).isprintable()
        assert "docs/configuration.md lists every key" == caught.value.hint

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('[store]\nroot = "/mnt"\ndir = "/gnu/store"', "store: another store directory inside another root"),
            ('[store]\ndir = "/"', "store: the store directory '/'"),
            ('[store]\ndir = "/nix/store/"', "store: the store directory '/nix/store/'"),
            ('[store]\ndir = "/nix/../etc"', "shortest form"),
            ('[store]\ndir = "//nix/store"', "shortest form"),
            ('[store]\nstate = "/nix/./var"', "store: the state directory"),
            ('[trust]\nmetadata_base = "https://x.org/"', "trust: metadata_base and target_base go together"),
            ('[trust]\ntarget_base = "https://x.org/"', "trust: metadata_base and target_base go together"),
            (f"[trust]\n{BOTH}".replace("x.org/trust", "me:secret@x.org/trust"), "trust.metadata_base: holds a user"),
            (
                f"[trust]\n{BOTH}".replace("x.org/trust", "me:secret@x.org:no/trust"),
                "trust.metadata_base: holds a user",
            ),
            (f"[trust]\n{BOTH}".replace("//x.org/trust", "//x.org:no/trust"), "trust.metadata_base: "),
            ('[report]\nurl = "https://"', "report.url"),
            ('[report]\nurl = "https://[::1"', "report.url: "),
            ('[report]\nurl = "https://x.org/?a=b"', "report.url: "),
            ('[report]\nurl = "https://token@x.org/"', "report.url: holds a user"),
            ('[rebuild]\nscratch = "relative"', "rebuild.scratch: 'relative' is neither"),
            ('[rebuild]\nscratch = "tmpfs:"', "is no size"),
            ('[rebuild]\nscratch = "tmpfs:2"', "is no size"),
            ('[rebuild]\nscratch = "tmpfs:0G"', "is no size"),
            ('[rebuild]\nscratch = "tmpfs:-1G"', "is no size"),
            ('[rebuild]\nscratch = "tmpfs:2T"', "is no size"),
        ],
    )
    def test_what_does_not_fit_together_is_told(self, text: str, said: str) -> None:
        """With the key, and without any secret that an address may hold."""
        with pytest.raises(ConfigError) as caught:
            decode(text.encode())

        assert (True, True) == (said in str(caught.value), str(caught.value).startswith("verify.toml: "))
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("key", ["state_dir", "rebuild.scratch", "report.directory", "report.textfile"])
    @pytest.mark.parametrize(
        "path", ["/nix/store", "/nix/store/x", "/nix/store/x/../y", "/nix/../nix//store/x", "//nix/store/x"]
    )
    def test_nothing_of_ours_goes_into_the_store_that_is_verified(self, key: str, path: str) -> None:
        """However the path is spelled."""
        table, _, name = key.rpartition(".")
        text = f'[{table}]\n{name} = "{path}"' if table else f'{name} = "{path}"'

        with pytest.raises(ConfigError, match="inside the store") as caught:
            decode(text.encode())

        assert f"verify.toml: {key}" == caught.value.place

    def test_a_neighbour_of_the_store_is_not_in_it(self) -> None:
        """Names that only begin alike."""
        assert Path("/nix/storehouse") == decode(b'state_dir = "/nix/storehouse"').state
        assert Path("/nix/store") == decode(b'state_dir = "/nix/store"\n[store]\nroot = "/mnt"').state

    @pytest.mark.parametrize(
        ("root", "found"), [("/", "/"), ("//", "/"), ("/mnt/", "/mnt"), ("//mnt/../mnt/./x/", "/mnt/x")]
    )
    def test_a_root_is_taken_in_its_shortest_form(self, root: str, found: str) -> None:
        """So that one root is one root."""
        assert Path(found) == decode(f'[store]\nroot = "{root}"'.encode()).location.root

    def test_large_and_deep_files_are_refused(self) -> None:
        """Whatever lies there is read to a limit, and without recursion."""
        with pytest.raises(ConfigError, match="accepted"):
            decode(b"#" * (2 << 20))
        with pytest.raises(ConfigError, match="nested too deep"):
            decode(b"x = " + b"[" * 50_000)

    @given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
    def test_garbage_is_refused_as_what_it_is(self, garbage: bytes) -> None:
        """Nothing that is no TOML of ours is taken."""
        with pytest.raises(ConfigError) as caught:
            decode(b"\n= " + garbage)

        assert str(caught.value).isprintable()


class TestLoading:
    """From disk, with the policy."""

    def test_without_a_file_the_defaults_hold(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither configuration nor policy need be there at their usual places."""
        monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "verify.toml")

        loaded = load(None)

        empty = hashlib.sha256(b"").hexdigest()
        assert (Config(), Policy(), empty, empty) == (
            loaded.config,
            loaded.policy,
            loaded.config_digest,
            loaded.policy_digest,
        )

    def test_a_dangling_link_is_no_missing_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody meant a configuration to be there: the defaults would be a surprise."""
        (tmp_path / "verify.toml").symlink_to("nowhere")
        monkeypatch.setattr(config, "DEFAULT_PATH", tmp_path / "verify.toml")

        with pytest.raises(ConfigError, match="cannot be read"):
            load(None)

    def test_digests_are_those_of_the_bytes(self, tmp_path: Path) -> None:
        """Comments and all."""
        (tmp_path / "policy.toml").write_bytes(b"# strict\n")
        (tmp_path / "verify.toml").write_text(f'policy = "{tmp_path}/policy.toml"\n')

        loaded = load(tmp_path / "verify.toml")

        assert (
            hashlib.sha256((tmp_path / "verify.toml").read_bytes()).hexdigest(),
            hashlib.sha256(b"# strict\n").hexdigest(),
        ) == (
            loaded.config_digest,
            loaded.policy_digest,
        )

    def test_an_empty_policy_path_means_the_built_in_policy(self, tmp_path: Path) -> None:
        """Said on purpose."""
        (tmp_path / "verify.toml").write_text('policy = ""\n')

        assert Policy() == load(tmp_path / "verify.toml").policy

    @pytest.mark.parametrize(
        ("policy", "said"),
        [
            ("garbage", "policy.toml: end of document"),
            ("unknown = 1", "unknown"),
            ('level = "everything"', "level"),
            ('[severity]\nEV999 = "fail"', "EV999"),
            ('[severity]\nEV201 = "fatal"', "severity"),
            ("[freshness]\nmax_lag = -1", "max_lag"),
            ("[freshness]\nmax_age_days = 0", "max_age_days"),
            ('allowed_extra = "x"', "allowed_extra"),
            ('cache_keys = ["nonsense"]', "cache_keys"),
            ('cache_keys = ["name:AAAA"]', "cache_keys"),
            ('[[unreproducible]]\npattern = "x"', "unreproducible"),
            (
                '[[unreproducible]]\npattern = "x"\nowner = "o"\nreason = "r"\nexpires = "soon"',
                "unreproducible",
            ),
            ('[[unreproducible]]\npattern = "x"\nowner = "o"\nreason = "r"\nexpires = 7', "unreproducible"),
        ],
    )
    def test_a_policy_that_makes_no_sense_is_told(self, tmp_path: Path, policy: str, said: str) -> None:
        """Before any run, not in it."""
        (tmp_path / "policy.toml").write_text(policy)
        (tmp_path / "verify.toml").write_text(f'policy = "{tmp_path}/policy.toml"\n')

        with pytest.raises(BadInputError) as caught:
            load(tmp_path / "verify.toml")

        assert (True, True) == (said in str(caught.value), str(caught.value).startswith(str(tmp_path)))

    def test_two_cache_keys_of_one_name_are_refused(self, tmp_path: Path) -> None:
        """A name stands for one key."""
        keys = [SecretKey.generate("cache-1").public.render() for _ in range(2)]
        (tmp_path / "policy.toml").write_text(f"cache_keys = {msgspec.json.encode(keys).decode()}\n")
        (tmp_path / "verify.toml").write_text(f'policy = "{tmp_path}/policy.toml"\n')

        with pytest.raises(BadInputError, match="two different public keys"):
            load(tmp_path / "verify.toml")

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda _: None, "no such file"),
            (lambda file: file.mkdir(), "is a directory"),
            (lambda file: file.symlink_to(file.name), "symbolic links"),
            (lambda file: file.symlink_to("/dev/zero"), "more than"),
        ],
        ids=["missing", "directory", "circle", "endless"],
    )
    @pytest.mark.parametrize("which", ["verify.toml", "policy.toml"])
    def test_files_that_cannot_be_read_are_told(
        self, tmp_path: Path, which: str, make: Callable[[Path], object], said: str
    ) -> None:
        """With the system's words and a hint; a file without end is not read to it."""
        if which == "policy.toml":
            (tmp_path / "verify.toml").write_text(f'policy = "{tmp_path}/policy.toml"\n')
        make(tmp_path / which)

        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "verify.toml")

        assert (str(tmp_path / which), True, True) == (
            caught.value.place,
            said in caught.value.message.lower(),
            caught.value.hint is not None,
        )

    def test_a_limit_is_exact(self, tmp_path: Path) -> None:
        """What is as long as is accepted is accepted."""
        (tmp_path / "file").write_bytes(b"12345")

        assert b"12345" == read_file(tmp_path / "file", 5)
        with pytest.raises(ConfigError):
            read_file(tmp_path / "file", 4)


class TestLocation:
    """Where a store lies."""

    def test_logical_and_physical_paths(self) -> None:
        """They differ under another root, once and for all."""
        chroot = StoreLocation(Path("/mnt"))

        assert (True, "/mnt/nix/store", "/mnt/nix/var/nix") == (
            chroot.is_chroot,
            str(chroot.store),
            str(chroot.state),
        )
        assert (False, "/nix/store/x") == (StoreLocation().is_chroot, str(StoreLocation().physical("/nix/store/x")))

    @pytest.mark.parametrize(
        ("path", "is_one"),
        [("/nix/store/x", True), ("/nix/store/x/y", False), ("/nix/store", False), ("/nix/storex", False)],
    )
    def test_store_paths_are_directly_in_the_store_directory(self, path: str, is_one: bool) -> None:  # noqa: FBT001 - a table
        """Nothing above, nothing below."""
        assert is_one == StoreLocation().is_store_path(path)

    def test_nix_is_always_told_the_store(self) -> None:
        """Otherwise it would ask the daemon, and use the real store."""
        assert ("local", {}) == (StoreLocation().uri(Path("/log")), StoreLocation().environment())
        assert "local?root=/a%20b&log=/log" == StoreLocation(Path("/a b")).uri(Path("/log"))
        other = StoreLocation(store_dir="/s", state_dir="/v")
        assert {"NIX_STORE_DIR": "/s", "NIX_STATE_DIR": "/v"} == other.environment()


def test_every_error_is_of_ours(tmp_path: Path) -> None:
    """Whoever loads a configuration catches one kind of error."""
    broken: list[Any] = [tmp_path, tmp_path / "none", tmp_path / "x" / "y", Path("/dev/zero")]

    for path in broken:
        with pytest.raises(EcError):
            load(path)


def test_sizes_of_a_budget_are_bytes() -> None:
    """0 is no limit."""
    budget = decode(b"[budget]\ndisk = '20G'\n").budget
    assert (20 << 30, 0) == (budget.disk_bytes, budget.memory_bytes)
