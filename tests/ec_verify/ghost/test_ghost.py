"""The ghost store: what is done inside stays inside, and nothing of it stays behind."""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_closure.store_db import StoreDatabase
from ec_verify.errors import CanaryError, GhostError
from ec_verify.ghost import database
from ec_verify.ghost.namespace import Namespace
from ec_verify.ghost.nix import build_users_group
from ec_verify.ghost.scratch import Scratch, ScratchPlan, sweep

if TYPE_CHECKING:
    from tests.ec_verify.ghost.conftest import Yard

    from ec_verify.ghost.session import Ghost

pytestmark = [pytest.mark.nix, pytest.mark.root]


def test_what_is_added_inside_is_not_outside(yard: Yard) -> None:
    """A path that Nix adds inside is in the upper layer and in the copied database, and nowhere else."""
    with yard.ghost() as ghost:
        source = ghost.namespace.view(yard.store.root / "added")
        source.write_text("hello")
        path = ghost.nix.nix_store(["--add", str(yard.store.root / "added")]).stdout.strip()
        source.unlink()
        assert ghost.upper(path).read_text() == "hello"
        assert not os.path.lexists(path)
        with StoreDatabase.open(yard.location.state, store_dir=yard.location.store_dir) as real:
            assert real.path_info(path) is None


@pytest.mark.parametrize("wall", ["overlay", "bind"])
@pytest.mark.parametrize("seeded", [False, True], ids=["first", "from a seed"])
def test_a_store_that_is_not_covered_is_noticed_before_anything_is_built(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, wall: str, *, seeded: bool
) -> None:
    """Without a wall a canary lands in the real store or its state; the ghost refuses to go on, and removes it."""
    perform = Namespace.perform
    with ExitStack() as stack:
        seed = stack.enter_context(yard.ghost()) if seeded else None
        monkeypatch.setattr(
            Namespace, "perform", lambda self, steps: perform(self, [one for one in steps if one["do"] != wall])
        )
        with pytest.raises(CanaryError, match="not private"), yard.ghost(seed=seed):
            pytest.fail("a ghost without walls was accepted")
    assert not [*yard.location.store.glob("*canary*"), *yard.location.state.glob("*canary*")]


def test_the_daemons_socket_is_not_in_reach(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that listens beside the store is never asked, also when the environment says so."""
    monkeypatch.setenv("NIX_REMOTE", "daemon")
    directory = yard.location.state / "daemon-socket"
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        # A relative name: absolute ones of temporary directories are longer than a socket's name may be.
        monkeypatch.chdir(directory)
        listener.bind("socket")
        listener.listen()
        listener.setblocking(False)  # noqa: FBT003 - the socket module's signature
        with yard.ghost() as ghost:
            assert not (ghost.state / "daemon-socket").exists()
            assert ghost.nix.nix_store(["--query", "--hash", "/nonexistent"]).exit != 0
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_there_is_no_network_inside(yard: Yard) -> None:
    """A builder or an evaluation has no interface but its own loopback."""
    with yard.ghost() as ghost:
        import subprocess

        seen = subprocess.run(
            ghost.namespace.command(["cat", "/proc/net/dev"], network=False), capture_output=True, text=True, check=True
        ).stdout
    assert ["lo"] == [line.split(":")[0].strip() for line in seen.splitlines() if ":" in line]


def test_nothing_of_the_environment_reaches_nix(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables by which a node's environment could steer Nix are not passed on."""
    for name in (
        "NIX_CONFIG",
        "NIX_PATH",
        "NIX_REMOTE",
        "NIX_USER_CONF_FILES",
        "NIX_STORE",
        "GIT_CONFIG",
        "LD_PRELOAD",
    ):
        monkeypatch.setenv(name, "/hostile")
    with yard.ghost() as ghost:
        environment = ghost.nix.environment(fetch=False)
    assert "/hostile" not in environment.values()
    assert environment["NIX_USER_CONF_FILES"] == "/dev/null"


def test_hooks_and_keys_of_the_node_are_not_used(yard: Yard) -> None:
    """The node's nix.conf is not read: its post-build hook does not run."""
    output = yard.build('make "a" {} "echo a > $out"')[0]
    hook = yard.store.root / "hook"
    fired = yard.store.root / "fired"
    hook.write_text(f"#!/bin/sh\ntouch {fired}\n")
    hook.chmod(0o755)
    yard.store.conf_dir.mkdir(exist_ok=True)
    (yard.store.conf_dir / "nix.conf").write_text(f"post-build-hook = {hook}\n")
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, output)
        assert yard.rebuild(ghost, graph, graph.derivations).builders == 1
    assert not fired.exists()


def test_nothing_is_mounted_afterwards(yard: Yard) -> None:
    """When a ghost ends, no mount of it is left and its scratch is gone."""
    with yard.ghost() as ghost:
        pid = ghost.namespace.pid
        assert "overlay" in Path(f"/proc/{pid}/mountinfo").read_text()
    assert not Path(f"/proc/{pid}").exists()
    assert str(yard.scratch.directory) not in Path("/proc/self/mountinfo").read_text()
    assert [] == list(yard.scratch.directory.iterdir())


def test_scratch_on_tmpfs_works_alike(yard: Yard) -> None:
    """A tmpfs of bounded size inside the namespace serves as well, where / is an overlay itself."""
    yard.scratch = ScratchPlan(yard.scratch.directory, tmpfs_size=64 << 20)
    output = yard.build('make "a" {} "echo a > $out"')[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, output)
        evidence = yard.rebuild(ghost, graph, graph.derivations).outputs
    assert yard.signed(graph) == {path: seen.rebuilt for path, seen in evidence.items()}


def test_scratch_of_a_killed_run_is_removed_and_that_of_a_live_one_kept(tmp_path: Path) -> None:
    """A lock that nobody holds marks what may go; read-only trees in it are no obstacle."""
    plan = ScratchPlan(tmp_path)
    dead = tmp_path / "ghost-1-dead"
    (dead / "upper" / "x").mkdir(parents=True)
    (dead / "upper" / "x" / "file").write_text("left")
    (dead / "upper" / "x").chmod(0o555)
    dead.with_name(f"{dead.name}.lock").touch()
    with Scratch(plan) as live:
        assert not dead.exists()
        assert [] == sweep(tmp_path)
        assert live.path.is_dir()
    assert [] == list(tmp_path.iterdir())


def test_a_batch_that_is_not_closed_upward_is_refused(yard: Yard) -> None:
    """Removing a path that something kept refers to would break the builds that need it."""
    top = yard.build('let a = make "a" {} "echo a > $out"; in make "top" { inherit a; } "echo $a > $out"')[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        below = next(path for path in graph.owners if path.endswith("-a"))
        assert {below, top} == database.referrers(ghost.database, [below])
        with pytest.raises(GhostError, match="closed upward"):
            database.remove(ghost.database, [below])
        database.remove(ghost.database, [below, top])
        assert set() == database.referrers(ghost.database, [below])


def test_outputs_under_test_are_not_visible_inside(yard: Yard) -> None:
    """A hidden path is gone inside and untouched outside."""
    output = yard.build('make "a" {} "echo a > $out"')[0]
    with yard.ghost(hide=[output]) as ghost:
        assert not os.path.lexists(ghost.path(output))
    assert Path(output).read_text() == "a\n"


def _bytes_of(ghost: Ghost) -> bytes:
    return ghost.database.read_bytes()


def test_a_seed_hands_over_its_derivations_and_rows(yard: Yard) -> None:
    """What an evaluation made in one ghost is there in the next, without evaluating again."""
    with yard.ghost() as first:
        first.namespace.view(yard.store.root / "seed").write_text("seed")
        path = first.nix.nix_store(["--add", str(yard.store.root / "seed")]).stdout.strip()
        first.namespace.view(yard.store.root / "seed").unlink()
        before = _bytes_of(first)
        with yard.ghost(seed=first) as second:
            assert second.path(path).read_text() == "seed"
            assert second.nix.nix_store(["--check-validity", path]).exit == 0
        assert before == _bytes_of(first)


def test_build_users_are_shared_with_the_host_or_not_used(yard: Yard) -> None:
    """Nix kills what runs as a build user: without the host's pool no build user is taken."""
    assert build_users_group(yard.location.state) == ""
    pool = yard.location.state / "userpool"
    pool.mkdir()
    (pool / "mark").touch()
    output = yard.build('make "a" {} "echo a > $out"')[0]
    with yard.ghost() as ghost:
        assert ghost.namespace.view(ghost.state / "userpool" / "mark").exists()
        graph = yard.graph(ghost, output)
        assert yard.rebuild(ghost, graph, graph.derivations).builders == 1
