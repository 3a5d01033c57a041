"""Step 1: whatever goes wrong on the way to a manifest is an outcome with a code, never an end."""

from __future__ import annotations

import inspect
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ec_closure import errors as roots
from ec_closure import manifest as manifests
from ec_closure.findings import KINDS
from ec_fetch import errors as fetch
from ec_fetch.client import TrustClient, TrustSettings
from ec_release.backend.directory import DirectoryBackend
from ec_release.trust.initialise import initialise
from ec_release.trust.roles import Periods
from ec_verify import config, trust
from ec_verify.errors import ConfigError
from ec_verify.trust import ManifestFile, establish, problem

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.ec_verify.conftest import Names, Node

    from ec_closure.manifest import Manifest
    from ec_fetch.targets import ClosureTarget
    from ec_verify.model import TrustOutcome

pytestmark = pytest.mark.nix

CODES = {
    "ExpiredMetadataError": "EV102",
    "RolledBackError": "EV103",
    "TargetMismatchError": "EV107",
    "MetadataError": "EV101",
    "UnsignedMetadataError": "EV101",
    "MixedMetadataError": "EV101",
    "NoTargetError": "EV106",
    "RefusedError": "EV105",
    "TokenError": "EV105",
    "FetchError": "EV104",
    "SlowError": "EV104",
    "OfflineError": "EV104",
    "NoMetadataError": "EV104",
    "MirrorError": "EV118",
    "StaleMirrorError": "EV118",
    "StateError": "EV114",
    "DamagedStateError": "EV114",
    "StateBusyError": "EV114",
}


@pytest.fixture
def ask(node: Node, names: type[Names]) -> Callable[..., TrustOutcome]:
    """Give a function that establishes trust on the node, *days* after the release."""

    def run(
        toplevel: str | None = node.path("system"), *generations: str, days: float = 0, **options: Any
    ) -> TrustOutcome:
        loaded = config.load(node.configure()).config
        return establish(loaded, toplevel, generations, time=names.now + timedelta(days=days), **options)

    return run


def codes(outcome: TrustOutcome) -> list[str]:
    """Return the codes of the problems."""
    return [one.code for one in outcome.problems]


def target(node: Node) -> Path:
    """Return the published manifest."""
    return node.site / "download" / "v1" / "small.closure.json.zst"


class TestMapping:
    """From errors to codes."""

    def test_every_error_of_fetching_has_a_code(self) -> None:
        """A new error must not become an unreachable server unnoticed."""
        raised = {
            name
            for name, kind in inspect.getmembers(fetch, inspect.isclass)
            if issubclass(kind, roots.EcError) and kind.__module__ == fetch.__name__
        }

        assert raised == CODES.keys()

    @pytest.mark.parametrize(("name", "code"), CODES.items())
    def test_each_error_has_its_own_code(self, name: str, code: str) -> None:
        """The most special one counts; message, place and hint are kept."""
        error = getattr(fetch, name)("went wrong", place="there", hint="look there")

        found = problem(error)

        assert (code, "there: went wrong (look there)") == (found.code, found.message)
        assert found.code in KINDS

    def test_bytes_that_do_not_decode_are_a_malformed_manifest(self) -> None:
        """Not an unreachable server: the server did answer."""
        assert "EV108" == problem(roots.LimitError("too large")).code


class TestFinding:
    """The manifest of what runs."""

    def test_the_manifest_of_the_running_system_is_found(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """With what is known of releases, and the digest of what was published."""
        found = ask(days=1)

        assert ([], node.signed.manifest, "v1/small.closure.json.zst") == (codes(found), found.manifest, found.target)
        assert (86400, 1, 0, 0, (), False) == (
            found.metadata_age,
            found.latest_version,
            found.newer_releases,
            found.min_version,
            found.withdrawn,
            found.offline,
        )

    def test_a_system_that_nobody_published_has_none(
        self, names: type[Names], ask: Callable[..., TrustOutcome]
    ) -> None:
        """The metadata are trusted all the same."""
        found = ask(names.store_path("unpublished"))

        assert (["EV106"], None, 1) == (codes(found), found.manifest, found.latest_version)

    def test_nothing_that_runs_asks_for_nothing(self, ask: Callable[..., TrustOutcome]) -> None:
        """Without a running system there is no manifest to find, and that is judged elsewhere."""
        found = ask(None)

        assert ([], None) == (codes(found), found.manifest)

    def test_newer_releases_are_counted(self, node: Node, ask: Callable[..., TrustOutcome], names: type[Names]) -> None:
        """Releases, not systems: one release may hold many."""
        for version in (2, 3):
            node.publish(version, *(_small(names, f"{name}-{version}", version) for name in ("a", "b")))

        found = ask()

        assert (2, 3) == (found.newer_releases, found.latest_version)

    @pytest.mark.parametrize("content", [b"", b"garbage", b"\x28\xb5\x2f\xfd garbage"])
    def test_a_manifest_that_does_not_decode_is_told_as_that(
        self, ask: Callable[..., TrustOutcome], monkeypatch: pytest.MonkeyPatch, content: bytes
    ) -> None:
        """Signed bytes that are no manifest: publisher and verifier disagree."""
        monkeypatch.setattr(TrustClient, "download", lambda _self, _target: content)

        assert (["EV108"], None) == (codes(ask()), ask().manifest)

    def test_a_manifest_of_another_system_is_not_taken(
        self, ask: Callable[..., TrustOutcome], monkeypatch: pytest.MonkeyPatch, names: type[Names]
    ) -> None:
        """What the metadata say of it must be what it says of itself."""
        other = manifests.encode(_small(names, "other", 1))
        monkeypatch.setattr(TrustClient, "download", lambda _self, _target: other)

        found = ask()

        assert (["EV108"], None) == (codes(found), found.manifest)
        assert "not what its metadata say" in found.problems[0].message

    def test_other_generations_bring_their_manifests(
        self, node: Node, ask: Callable[..., TrustOutcome], names: type[Names]
    ) -> None:
        """Those that were published; the others are nobody's problem here."""
        old = _small(names, "old", 2)
        node.publish(2, old)

        found = ask(node.path("system"), old.system.out_path, names.store_path("never"), old.system.out_path)

        assert ([], (old,)) == (codes(found), found.others)

    def test_the_running_system_is_no_other_generation(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """Its manifest is there once."""
        assert () == ask(node.path("system"), node.path("system")).others

    def test_a_broken_manifest_of_another_generation_costs_only_itself(
        self, node: Node, ask: Callable[..., TrustOutcome], monkeypatch: pytest.MonkeyPatch, names: type[Names]
    ) -> None:
        """The running system keeps its manifest, the other generation its own problem."""
        old, older = _small(names, "old", 2), _small(names, "older", 2)
        node.publish(2, old, older)
        real = TrustClient.download

        def download(self: TrustClient, found: ClosureTarget) -> bytes:
            return b"garbage" if found.toplevel == old.system.out_path else real(self, found)

        monkeypatch.setattr(TrustClient, "download", download)

        found = ask(node.path("system"), old.system.out_path, older.system.out_path)

        assert (["EV108"], (older,)) == (codes(found), found.others)
        assert found.manifest is not None

    def test_two_manifests_for_one_generation_are_a_problem_and_not_the_end(
        self, node: Node, ask: Callable[..., TrustOutcome], names: type[Names], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A release that contradicts itself vouches for nothing."""
        old = _small(names, "old", 2)
        node.publish(2, old)

        def contradictory(_self: TrustClient, toplevels: list[str]) -> dict[str, ClosureTarget]:
            raise fetch.MetadataError("release 2 has two different manifests for it", place=toplevels[0])

        monkeypatch.setattr(TrustClient, "find_all", contradictory)

        found = ask(node.path("system"), old.system.out_path)

        assert (["EV101"], ()) == (codes(found), found.others)
        assert found.manifest is not None


class TestRoot:
    """Whom to believe in the first place."""

    @pytest.mark.parametrize(
        "table",
        [
            {"root": ""},
            {"root": "/nonexistent/root.json"},
        ],
    )
    def test_without_a_pinned_root_nothing_can_be_proven(
        self, node: Node, ask: Callable[..., TrustOutcome], table: dict[str, str]
    ) -> None:
        """A fresh clone pins none; the bytes are still compared with the database."""
        node.tables["trust"] = table

        found = ask()

        assert (["EV113"], None) == (codes(found), found.manifest)
        assert (3, {"EV113"}) == ((ran := node.run("run", "--json")).exit, ran.codes)

    def test_without_an_address_nothing_can_be_proven(self, node: Node, names: type[Names]) -> None:
        """A root alone leads to no release."""
        (node.directory / "verify.toml").write_text(f'[trust]\nroot = "{node.signed.pinned}"\n')
        loaded = config.load(node.directory / "verify.toml").config

        assert ["EV113"] == codes(establish(loaded, node.path("system"), [], time=names.now))

    @pytest.mark.parametrize(
        "content",
        [b"", b"garbage", b"{}", b"[" * 10_000, b"\xff"],
        ids=["empty", "garbage", "nothing", "deep", "no UTF-8"],
    )
    def test_a_damaged_root_proves_nothing_and_ends_nothing(
        self, node: Node, ask: Callable[..., TrustOutcome], content: bytes
    ) -> None:
        """Whoever damages the root gets no better than whoever removes it: the disk is still judged."""
        file = node.directory / "root.json"
        file.write_bytes(content)
        node.tables["trust"] = {"root": str(file)}

        found = ask()

        assert (["EV113"], True) == (codes(found), "the pinned root cannot be used" in found.problems[0].message)

    def test_a_root_that_cannot_be_read_is_a_configuration_that_makes_no_sense(
        self, node: Node, ask: Callable[..., TrustOutcome]
    ) -> None:
        """A directory is no file."""
        node.tables["trust"] = {"root": str(node.directory)}

        with pytest.raises(ConfigError, match="cannot be read"):
            ask()

    def test_what_the_operator_configured_reaches_the_client(
        self, node: Node, ask: Callable[..., TrustOutcome], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Token, proxy and deadline; what is empty is not there."""
        seen: list[TrustSettings] = []

        def client(settings: TrustSettings, *, reference_time: datetime) -> TrustClient:
            seen.append(settings)
            return TrustClient(settings, reference_time=reference_time)

        monkeypatch.setattr(trust, "TrustClient", client)
        ask()
        node.tables["trust"] = {"token_file": "/t", "proxy": "http://proxy:3128", "deadline": 7}
        ask()

        assert [(None, None, 120.0), (Path("/t"), "http://proxy:3128", 7.0)] == [
            (one.token_file, one.proxy, one.deadline) for one in seen
        ]
        assert {node.state / "trust"} == {one.state_dir for one in seen}

    def test_a_root_of_somebody_else_vouches_for_nothing(
        self, node: Node, ask: Callable[..., TrustOutcome], tmp_path: Path, names: type[Names]
    ) -> None:
        """Metadata that it did not sign are refused."""
        made = initialise(
            DirectoryBackend(tmp_path / "other"),
            tmp_path / "other-keys",
            root_keys=1,
            root_threshold=1,
            time=names.now,
            periods=Periods(),
        )
        node.tables["trust"] = {"root": str(made.root)}

        found = ask()

        assert ("EV101", None) == (codes(found)[0], found.manifest)


class TestServer:
    """What a server may try."""

    def test_a_server_that_is_gone_is_told(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """Nothing was ever there: refused, and nothing remembered."""
        shutil.rmtree(node.site)

        found = ask()

        assert (["EV105"], None, None) == (codes(found), found.manifest, found.metadata_age)

    def test_a_server_that_is_gone_later_leaves_what_was_verified(
        self, node: Node, ask: Callable[..., TrustOutcome]
    ) -> None:
        """The last verified metadata and the manifest serve on, with their age."""
        ask()
        shutil.rmtree(node.site)

        found = ask(days=3)

        assert (["EV105"], node.signed.manifest, True, 3 * 86400) == (
            codes(found),
            found.manifest,
            found.offline,
            found.metadata_age,
        )

    def test_expired_metadata_are_told_and_what_was_verified_serves_on(
        self, node: Node, ask: Callable[..., TrustOutcome]
    ) -> None:
        """A node that is held back keeps its manifest; policy judges the age."""
        ask()

        found = ask(days=3000)

        assert (["EV102"], True) == (codes(found), found.offline)
        assert (found.manifest, 3000 * 86400) == (node.signed.manifest, found.metadata_age)

    def test_older_metadata_than_before_are_a_rollback(
        self, node: Node, ask: Callable[..., TrustOutcome], names: type[Names]
    ) -> None:
        """A server that shows yesterday's state hides today's."""
        shutil.copytree(node.site, node.directory / "yesterday")
        node.publish(2, _small(names, "new", 2))
        ask()
        shutil.rmtree(node.site)
        (node.directory / "yesterday").rename(node.site)

        found = ask()

        assert (["EV103"], 2) == (codes(found), found.latest_version)

    def test_a_replaced_manifest_is_told(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """Signed metadata and the asset differ."""
        data = bytearray(target(node).read_bytes())
        data[-1] ^= 1
        target(node).write_bytes(data)

        found = ask()

        assert (["EV107"], None) == (codes(found), found.manifest)

    def test_forged_metadata_are_refused(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """A signature that is not one."""
        timestamp = node.site / "download" / "trust" / "timestamp.json"
        forged = msgspec.json.decode(timestamp.read_bytes())
        forged["signatures"][0]["sig"] = "00" * 64
        timestamp.write_bytes(msgspec.json.encode(forged))

        assert "EV101" == codes(ask())[0]

    def test_damaged_memory_is_told(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """What this node has seen must not be forgotten silently."""
        ask()
        (node.state / "trust" / "metadata" / "snapshot.json").write_bytes(b"garbage")

        found = ask()

        assert ("EV114", node.signed.manifest) == (codes(found)[0], found.manifest)

    def test_memory_that_is_gone_is_told(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """Reports were made here: whoever removes what was verified begins rollback protection anew."""
        node.run("run")
        shutil.rmtree(node.state / "trust")

        found = ask()

        assert (["EV114"], node.signed.manifest) == (codes(found), found.manifest)
        assert [] == codes(ask())

    @pytest.mark.parametrize(("hours", "expected"), [(-25, ["EV115"]), (-23, []), (0, [])])
    def test_a_clock_that_runs_behind_judges_nothing(
        self, ask: Callable[..., TrustOutcome], hours: float, expected: list[str]
    ) -> None:
        """By such a clock nothing ever expires; a day of drift is forgiven."""
        found = ask(days=hours / 24)

        assert (expected, bool(expected)) == (codes(found), found.manifest is None)

    def test_a_state_directory_that_cannot_be_made_is_told(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """An outcome, not an exception: the disk can still be judged."""
        node.state.write_bytes(b"")

        assert ["EV114"] == codes(ask())

    def test_a_token_that_cannot_be_read_is_told(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """A secret that was not delivered does not keep the disk from being judged."""
        node.tables["trust"] = {"token_file": "/nonexistent/token"}

        found = ask()

        assert ("EV105", True) == (codes(found)[0], "/nonexistent/token" in found.problems[0].message)

    @pytest.mark.parametrize("address", ["file://elsewhere/x/", "http://:80/"])
    def test_an_address_that_is_none_is_a_configuration_that_makes_no_sense(self, node: Node, address: str) -> None:
        """Told when the file is read."""
        node.tables["trust"] = {"metadata_base": address}

        with pytest.raises(ConfigError, match=r"trust\.metadata_base"):
            config.load(node.configure())


class TestOffline:
    """Asking nobody."""

    def test_what_was_verified_before_is_verified_again(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """The server is not asked, and its age is known."""
        ask()
        shutil.rmtree(node.site)

        found = ask(days=2, offline=True)

        assert ([], node.signed.manifest, True, 2 * 86400) == (
            codes(found),
            found.manifest,
            found.offline,
            found.metadata_age,
        )

    def test_without_anything_verified_before_there_is_nothing(self, ask: Callable[..., TrustOutcome]) -> None:
        """And that is said once."""
        found = ask(offline=True)

        assert (["EV104"], None) == (codes(found), found.manifest)

    def test_a_manifest_that_was_never_downloaded_is_missed(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """The metadata know it, the node does not have it."""
        ask(None)

        found = ask(node.path("system"), offline=True)

        assert (["EV104"], None) == (codes(found), found.manifest)

    def test_policy_judges_the_age(self, node: Node) -> None:
        """A node that is offline for longer than policy allows fails."""
        assert 0 == node.run("run").exit
        node.policy["freshness"] = {"max_age_days": 1}
        arguments = ["run", "--json", "--offline", "--config", str(node.configure()), "--time"]

        assert 0 == node.ran(*arguments, "2026-11-21T12:00:00Z").exit
        ran = node.ran(*arguments, "2026-11-21T12:00:00.5Z")
        assert 0 == ran.exit
        ran = node.ran(*arguments, "2026-11-22T12:00:00Z")
        assert (1, {"EV112"}) == (ran.exit, ran.codes)


class TestByHand:
    """A manifest and a root given by hand, in a release directory."""

    def test_it_is_verified_against_the_directory_around_it(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """No network, no memory."""
        found = ask(given=ManifestFile(target(node), node.signed.pinned))

        assert ([], node.signed.manifest, False) == (codes(found), found.manifest, node.state.exists())

    def test_the_command_line_takes_both(self, node: Node) -> None:
        """Without any other trust configured."""
        node.tables["trust"] = {"root": ""}

        ran = node.run("run", "--json", "--manifest", target(node), "--trust-root", node.signed.pinned)

        assert (0, "passed") == (ran.exit, ran.report.verdict)

    def test_a_manifest_that_was_altered_is_refused(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """Signed bytes or none."""
        target(node).write_bytes(target(node).read_bytes() + b"x")

        found = ask(given=ManifestFile(target(node), node.signed.pinned))

        assert (["EV107"], None) == (codes(found), found.manifest)

    def test_another_file_beside_the_signed_one_is_refused(
        self, node: Node, ask: Callable[..., TrustOutcome], names: type[Names]
    ) -> None:
        """What was named must be what is signed for this system, not a neighbour of it."""
        other = target(node).with_name("other.closure.json.zst")
        other.write_bytes(manifests.encode(_small(names, "other", 1)))

        found = ask(given=ManifestFile(other, node.signed.pinned))

        assert ["EV107"] == codes(found)
        assert "is not the manifest that the metadata name" in found.problems[0].message

    def test_a_manifest_of_another_system_of_the_release_is_refused(
        self, node: Node, ask: Callable[..., TrustOutcome], names: type[Names]
    ) -> None:
        """Both are signed; only one is of this node."""
        node.publish(2, _small(names, "other", 2))

        found = ask(given=ManifestFile(node.site / "download" / "v2" / "system-0.closure.json.zst", node.signed.pinned))

        assert ["EV107"] == codes(found)

    @pytest.mark.parametrize("missing", ["manifest", "root"])
    def test_files_that_are_not_there_end_the_run_at_once(
        self, node: Node, ask: Callable[..., TrustOutcome], missing: str
    ) -> None:
        """Whoever names a file means it."""
        file = Path("/nonexistent/file")
        given = ManifestFile(
            file if missing == "manifest" else target(node), file if missing == "root" else node.signed.pinned
        )

        with pytest.raises(ConfigError, match="/nonexistent/file: cannot be read") as caught:
            ask(given=given)

        assert caught.value.hint is not None

    def test_a_root_that_is_none_ends_the_run_at_once(self, node: Node, ask: Callable[..., TrustOutcome]) -> None:
        """Another file than a TUF root was named."""
        with pytest.raises(ConfigError, match="is no TUF root") as caught:
            ask(given=ManifestFile(target(node), target(node)))

        assert str(target(node)) == caught.value.place

    def test_a_manifest_outside_a_release_directory_is_not_trusted(
        self, node: Node, ask: Callable[..., TrustOutcome], tmp_path: Path
    ) -> None:
        """There are no metadata around it."""
        lonely = tmp_path / "a" / "b" / "small.closure.json.zst"
        lonely.parent.mkdir(parents=True)
        shutil.copy(target(node), lonely)

        found = ask(given=ManifestFile(lonely, node.signed.pinned))

        assert (["EV105"], None) == (codes(found), found.manifest)


def test_nothing_is_believed_that_was_not_looked_up(ask: Callable[..., TrustOutcome]) -> None:
    """The outcome holds a digest exactly when it holds a manifest."""
    for outcome in (ask(), ask("/nix/store/" + "0" * 32 + "-none")):
        assert (outcome.manifest is None) == (outcome.manifest_digest == "") == (outcome.target == "")


def _small(names: type[Names], name: str, version: int) -> Manifest:
    """Return the manifest of a system that is one path."""
    path = names.store_path(name)
    return names.manifest_of([names.record(path)], system=path, version=version)
