"""Runs without network, on what an unprivileged process fetched: as safe as with it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ec_closure.courier import FetchOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.ec_verify.conftest import Node, Ran

pytestmark = pytest.mark.nix
NOBODY = 65534


def fetched(ran: Ran) -> FetchOutput:
    """Return what `fetch --json` printed."""
    return msgspec.json.decode(ran.out.encode(), type=FetchOutput)


def reasons(ran: Ran, step: str) -> list[str]:
    """Return what coverage says of a step."""
    (found,) = (one for one in ran.report.coverage if one.step == step)
    return list(found.reasons)


def offline(node: Node) -> Ran:
    """Run without network."""
    return node.run("run", "--offline", "--json")


def everything(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Return what identifies all that lies in *directory*."""
    found = {}
    for path in [directory, *directory.rglob("*")]:
        status = path.lstat()
        found[str(path)] = (status.st_ino, status.st_mtime_ns, status.st_mode)
    return found


@pytest.fixture
def courier(node: Node) -> Path:
    """Give the directory of a courier that fetched; then the server is gone."""
    assert 0 == node.run("fetch").exit
    node.site.rename(node.directory / "unplugged")
    return node.state / "courier"


class TestFetch:
    """What is brought."""

    def test_a_run_without_network_passes_on_what_was_fetched(self, node: Node, courier: Path) -> None:
        """And says whose word the metadata came by."""
        before = everything(courier)

        ran = offline(node)

        assert (0, set(), 0) == (ran.exit, ran.codes, ran.report.freshness.metadata_age)
        assert ["metadata and manifests were brought by `ec-verify fetch`, and verified again"] == reasons(ran, "trust")
        assert before == everything(courier)

    @pytest.mark.parametrize("command", ["scan", "source"])
    def test_a_look_without_network_uses_it_too(self, node: Node, courier: Path, command: str) -> None:
        """Manifests are found; only what the level needs else may be missing."""
        assert courier.is_dir()

        assert node.manifest_file.name in str(node.run(command, "--offline", "--json").report.manifest)

    def test_it_tells_what_it_brought(self, node: Node) -> None:
        """As a document, and in words."""
        found = fetched(node.run("fetch", "--json"))

        assert (node.path("system"), True, 1, 0, False, ()) == (
            found.toplevel,
            found.has_manifest,
            found.latest_version,
            found.metadata_age,
            found.nonce,
            found.problems,
        )
        assert [("v1/small.closure.json.zst", node.manifest_file.stat().st_size)] == [
            (one.target, one.size) for one in found.manifests
        ]
        said = node.run("fetch").out
        assert all(word in said for word in (node.path("system"), "v1/small.closure.json.zst", "nonce     none"))

    def test_manifests_of_all_generations_are_brought(self, node: Node, names: Any) -> None:
        """Also those of more generations than a client usually keeps."""
        old = [_system(names, f"old-{number}", 2) for number in range(20)]
        node.publish(2, *old)
        for number, one in enumerate(old, 2):
            (node.root / f"nix/var/nix/profiles/system-{number}-link").symlink_to(one.system.out_path)

        found = fetched(node.run("fetch", "--json"))

        assert ((), 21) == (found.problems, len(found.manifests))
        node.site.rename(node.directory / "unplugged")
        assert not {"EV104", "EV118"} & offline(node).codes

    def test_a_server_that_is_gone_is_a_problem(self, node: Node, courier: Path) -> None:
        """With the code that a run would give it; what was fetched before stays and serves."""
        ran = node.run("fetch", "--json")

        assert (3, ["EV105"]) == (ran.exit, [problem[:5] for problem in fetched(ran).problems])
        assert courier.is_dir()
        assert 0 == offline(node).exit

    def test_without_a_courier_nothing_changes(self, node: Node) -> None:
        """One user may do all: the last verified metadata serve offline."""
        assert 0 == node.run("run").exit
        node.site.rename(node.directory / "unplugged")

        ran = offline(node)

        assert (0, ["last verified metadata were used, not fresh ones"]) == (ran.exit, reasons(ran, "trust"))

    def test_an_operators_run_with_network_is_no_rollback(self, node: Node, names: Any) -> None:
        """What the courier left is older then, and the newer memory of the node is used."""
        assert 0 == node.run("fetch").exit
        node.publish(2, _system(names, "newer", 2))
        node.run("run")

        ran = offline(node)

        assert (2, set()) == (ran.report.freshness.latest_version, ran.codes & {"EV103", "EV118"})
        assert "what `ec-verify fetch` left is older than what was verified here since: not used" in reasons(
            ran, "trust"
        )


class TestAttacks:
    """What whoever owns the courier's directory can do: keep back, and nothing else."""

    @pytest.mark.parametrize("place", ["last-verified.json", "targets"])
    def test_links_are_not_followed(self, node: Node, courier: Path, place: str) -> None:
        """Not even to what would serve."""
        real = node.directory / "aside"
        (courier / "trust" / place).rename(real)
        (courier / "trust" / place).symlink_to(real)

        ran = offline(node)

        assert (3, True) == (ran.exit, "EV118" in ran.codes)
        assert ran.report.manifest is None

    @pytest.mark.parametrize("kind", ["pipe", "endless", "garbage"])
    @pytest.mark.parametrize("place", ["last-verified.json", "manifest"])
    def test_nobody_is_waited_for_and_no_more_is_read_than_is_accepted(
        self, node: Node, courier: Path, place: str, kind: str
    ) -> None:
        """The run ends, undecided, and says why."""
        trust = courier / "trust"
        target = next((trust / "targets").iterdir()) if place == "manifest" else trust / place
        target.unlink()
        if kind == "pipe":
            os.mkfifo(target)
        else:
            target.write_bytes(b"garbage")
        if kind == "endless":
            os.truncate(target, 1 << 40)

        ran = offline(node)

        assert (3, {"EV118"}) == (ran.exit, ran.codes - {"EV104"})
        assert ran.report.manifest is None

    def test_what_was_adopted_before_survives_all_of_it(self, node: Node, courier: Path) -> None:
        """The node's own memory is not the courier's; the planted thing is told all the same."""
        assert 0 == offline(node).exit
        shutil.rmtree(courier / "trust")
        (courier / "trust").symlink_to("/")

        ran = offline(node)

        assert (0, set(), "passed") == (ran.exit, ran.codes - {"EV118"}, ran.report.verdict)

    def test_a_directory_of_links_leads_no_writing_run_astray(self, node: Node, courier: Path) -> None:
        """All names that a client writes to lead into root's own files; none of these is touched."""
        victim = node.directory / "victim"
        (victim / "root_history").mkdir(parents=True)
        (victim / "file").write_text("root's own")
        shutil.rmtree(courier / "trust")
        (courier / "trust").mkdir()
        for name in ("lock", "last-verified.json"):
            (courier / "trust" / name).symlink_to(victim / "file")
        for name in ("metadata", "targets"):
            (courier / "trust" / name).symlink_to(victim)
        (courier / "nonce.json").symlink_to(victim / "file")
        (courier / "sent.json").symlink_to(victim / "file")
        (courier / "lock").symlink_to(victim / "file")
        before = everything(victim)

        ran = offline(node)

        assert (3, True) == (ran.exit, "EV118" in ran.codes)
        assert before == everything(victim)

    def test_older_metadata_put_back_show_nothing_less(self, node: Node, names: Any) -> None:
        """A release that this node knows to be withdrawn stays so."""
        assert 0 == node.run("fetch").exit
        shutil.copytree(node.state / "courier", node.directory / "before")
        node.publish(2, _system(names, "newer", 2))
        assert 0 == node.run("fetch").exit
        assert 2 == offline(node).report.freshness.latest_version
        shutil.rmtree(node.state / "courier")
        shutil.copytree(node.directory / "before", node.state / "courier")

        assert 2 == offline(node).report.freshness.latest_version

    def test_another_trust_root_is_nobodys(self, node: Node, courier: Path, tmp_path: Path) -> None:
        """Metadata of a repository that its owner made, whole and well signed."""
        from ec_fetch.client import TrustClient, TrustSettings
        from ec_release.backend.directory import DirectoryBackend
        from ec_release.trust.initialise import initialise
        from ec_release.trust.roles import Periods

        time = _now(node)
        other = tmp_path / "other"
        made = initialise(
            DirectoryBackend(other), tmp_path / "keys", root_keys=1, root_threshold=1, time=time, periods=Periods()
        )
        shutil.rmtree(courier / "trust")
        base = f"{other.as_uri()}/download/"
        settings = TrustSettings(f"{base}trust/", base, made.root.read_bytes(), courier / "trust")
        TrustClient(settings, reference_time=time).refresh()

        ran = offline(node)

        assert (1, True, None) == (ran.exit, "EV101" in ran.codes, ran.report.manifest)


@pytest.mark.root
class TestOwners:
    """Who writes where."""

    @pytest.fixture
    def open_way(self, node: Node) -> Iterator[Callable[[], None]]:
        """Give a function that becomes nobody, who may walk to the node's directory."""
        parents = [path for path in node.directory.parents if path.stat().st_uid == 0 and len(path.parts) > 2]
        modes = {path: path.stat().st_mode for path in (node.directory, *parents)}
        for path, mode in modes.items():
            path.chmod(mode | 0o011)

        def become() -> None:
            os.setegid(NOBODY)
            os.seteuid(NOBODY)

        yield become
        os.seteuid(0)
        os.setegid(0)
        for path, mode in modes.items():
            path.chmod(mode)

    def test_root_does_not_write_where_somebody_else_does(self, node: Node) -> None:
        """`fetch` by root in the courier's directory could be led anywhere."""
        (node.state / "courier").mkdir(parents=True)
        os.chown(node.state / "courier", NOBODY, NOBODY)

        ran = node.run("fetch")

        assert (3, True) == (ran.exit, f"belongs to user {NOBODY}, and this is user 0" in ran.err)
        assert [] == list((node.state / "courier").iterdir())

    def test_a_user_without_rights_fetches_for_root(self, node: Node, open_way: Callable[[], None]) -> None:
        """It needs its own directory and the network; keys and memory are not its to read."""
        node.state.mkdir(mode=0o711)
        (node.state / "courier").mkdir()
        os.chown(node.state / "courier", NOBODY, NOBODY)
        for path in node.site.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        node.site.chmod(0o755)
        node.signed.pinned.chmod(0o644)
        config = node.configure()
        shutil.copy(node.signed.pinned, node.directory / "root.json")
        config.write_text(config.read_text().replace(str(node.signed.pinned), str(node.directory / "root.json")))
        arguments = ["fetch", "--json", "--config", str(config), "--time", _now(node).isoformat()]
        open_way()

        ran = node.ran(*arguments)

        os.seteuid(0)
        os.setegid(0)
        assert ((), True) == (fetched(ran).problems, fetched(ran).has_manifest)
        node.site.rename(node.directory / "unplugged")
        found = offline(node)
        assert (0, set()) == (found.exit, found.codes)
        assert {0} == {
            path.stat().st_uid for path in node.state.rglob("*") if not path.is_relative_to(node.state / "courier")
        }


def _now(node: Node) -> Any:
    from datetime import UTC, datetime

    assert node.directory
    return datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def _system(names: Any, name: str, version: int) -> Any:
    """Return the manifest of a system that is one path."""
    out = names.store_path(name)
    return names.manifest_of([names.record(out)], system=out, version=version)
