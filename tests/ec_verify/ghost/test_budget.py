"""Rebuilding within a budget: what is done counts, what is not says why, and the next run goes on."""

from __future__ import annotations

import signal
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_closure.manifest import Builder, Manifest, PathRecord, Release, Source, System
from ec_verify.ghost.cgroup import Group
from ec_verify.ghost.limits import Guard, Limits, Room, usage
from ec_verify.ghost.scratch import ScratchPlan
from ec_verify.memory.contents import Built
from ec_verify.rebuild.fleet import Share, assigned
from ec_verify.rebuild.plan import Plan, digests, plan
from ec_verify.rebuild.run import rebuild

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec_verify.ghost.conftest import Yard

    from ec_verify.model import Rebuild
    from ec_verify.source.graph import Graph

pytestmark = [pytest.mark.nix, pytest.mark.root]

_PAIR = """
let one = make "one" {} "echo one > $out";
in make "two" { inherit one; } "echo $one > $out"
"""


class Clock:
    """A clock that stands still, until somebody looked at it so many times."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def __call__(self) -> float:
        """Return the time."""
        self.left -= 1
        return 0.0 if self.left >= 0 else 1e9


def run(
    yard: Yard, batches: list[str], clock: Clock, *, expression: str = _PAIR, seconds: int = 100, disk: int = 0
) -> tuple[Graph, Rebuild]:
    """Rebuild the derivations called *batches*, each a batch of its own, in that order."""
    top = yard.build(expression)[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        parts = tuple(frozenset(drv for drv in graph.derivations if drv.endswith(f"{name}.drv")) for name in batches)
        signed = yard.signed(graph)
        found = rebuild(
            ghost,
            graph,
            Plan(frozenset().union(*parts), batches=parts),
            signed=signed,
            observed=signed,
            programs=yard.programs,
            settings=yard.settings,
            scratch=yard.scratch,
            seconds=seconds,
            disk=disk,
            clock=clock,
        )
    return graph, found


def names(paths: object) -> set[str]:
    """Return the names of store paths."""
    return {str(path).rpartition("/")[2][33:] for path in paths}  # type: ignore[attr-defined] # any iterable


def test_with_time_enough_everything_is_rebuilt(yard: Yard) -> None:
    """Batches are tested one after the other, in ghosts of their own; their results are one."""
    _, found = run(yard, ["two", "one"], Clock(1000))

    assert ({"one", "two"}, {}, 0, 2) == (names(found.outputs), found.skipped, found.late, found.rounds)
    assert all(seen.rebuilt and seen.unsound is None and not seen.tainted_by for seen in found.outputs.values())


def test_when_time_is_over_the_rest_says_so(yard: Yard) -> None:
    """The first batch was done; what was not is no failure of its builder."""
    _, found = run(yard, ["two", "one"], Clock(3))

    assert ({"two"}, {"one"}, 1) == (names(found.outputs), names(found.skipped), found.late)
    assert {"the budget of 100 seconds was spent"} == set(found.skipped.values())
    assert ("the budget of 100 seconds was spent", 0) == (found.spent, found.needed)


def test_a_budget_in_which_nothing_comes_to_its_end_says_how_much_it_lacks(yard: Yard) -> None:
    """The next run would begin with the same and get no further."""
    _, found = run(yard, ["two", "one"], Clock(1))

    assert (0, 2, 101) == (len(found.outputs), found.late, found.needed)


_CHAIN = """
let one = make "one" {} "echo $RANDOM$RANDOM$RANDOM > $out";
in make "two" { inherit one; } "echo $one > $out"
"""


def test_a_chain_that_is_longer_than_the_budget_says_how_much_it_lacks(yard: Yard) -> None:
    """What differs is tried in every run, and what uses it needs a round after that one."""
    _, found = run(yard, [""], Clock(3), expression=_CHAIN)

    assert ({"one"}, {"two"}) == (names(found.outputs), names(found.skipped))
    assert 100 + 10**9 == found.needed


def test_when_the_disk_that_was_granted_is_used_up_the_rest_says_so(yard: Yard) -> None:
    """It is no builder's failure, and it is noticed while builders run."""
    _, found = run(yard, ["two", "one"], Clock(1000), seconds=0, disk=1)

    assert ({}, {"one", "two"}, 2) == (found.outputs, names(found.skipped), found.late)
    assert {"the budget of disk, 0 MiB, was spent"} == {found.spent, *found.skipped.values()}
    assert 0 == found.needed


def test_disk_enough_is_no_limit(yard: Yard) -> None:
    """What fits is rebuilt."""
    _, found = run(yard, ["two", "one"], Clock(1000), seconds=0, disk=1 << 30)

    assert ({"one", "two"}, {}, "") == (names(found.outputs), found.skipped, found.spent)


_LARGE = """
make "large" {} "s=0123456789abcdef; for i in {1..20}; do s=$s$s; done; echo $s > $out"
"""


def test_a_builder_for_which_scratch_is_too_small_did_not_fail(yard: Yard) -> None:
    """Whether it reproduces is not known: scratch had no room for it, and that is what is said."""
    yard.scratch = ScratchPlan(yard.scratch.directory, tmpfs_size=8 << 20)
    _, found = run(yard, ["large"], Clock(1000), expression=_LARGE, seconds=0)

    assert ({}, 1, "scratch had no room left") == (found.outputs, found.late, found.spent)


class Starved(Group):
    """A group in which the kernel ended something each time that somebody asks."""

    asked = 0

    def kills(self) -> int:
        """Count."""
        self.asked += 1
        return self.asked


@pytest.mark.parametrize(
    ("group", "spent", "late"),
    [(Starved, "the budget of memory was spent", 2), (Group, "", 0)],
    ids=["killed", "failed"],
)
def test_what_the_kernel_ended_for_lack_of_memory_did_not_fail(
    yard: Yard, group: type[Group], spent: str, late: int
) -> None:
    """The limit was ours, and so the reason says; a builder that fails under no such limit did fail."""
    top = yard.build(_PAIR)[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        # Without a shell inside, no builder comes to its end.
        yard.settings = replace(yard.settings, group=group(None, 0, 0), sandbox_paths=())
        found = yard.rebuild(ghost, graph, graph.derivations)

    assert (spent, late, 2 - late) == (found.spent, found.late, len(found.outputs))


def test_time_ends_whatever_runs() -> None:
    """The whole group of processes, at once when there is no time at all."""
    with subprocess.Popen(["sleep", "1000"], process_group=0) as process, Guard(process.pid, Limits(1e-9)) as guard:
        assert -signal.SIGKILL == process.wait()
    assert "time" == guard.spent


def test_room_counts_every_file_once(tmp_path: Path) -> None:
    """Hard links share their bytes; what does not exist takes none."""
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_bytes(bytes(1 << 20))
    before = usage(tmp_path)
    (tmp_path / "a" / "two").hardlink_to(tmp_path / "a" / "one")

    assert 1 << 20 <= before == usage(tmp_path)
    assert ("disk", "") == (Room(tmp_path, 1 << 20).spent(), Room(tmp_path, 1 << 30).spent())
    assert ("", 0) == (Room(tmp_path / "none", 1).spent(), usage(tmp_path / "none"))


def manifest_for(yard: Yard, graph: Graph) -> Manifest:
    """Return a manifest that signs what lies in the store."""
    records = [
        PathRecord(
            path=path, nar_hash=nar_hash, nar_size=120, deriver=graph.owners[path][0], output="out", origin="built"
        )
        for path, nar_hash in sorted(yard.signed(graph).items())
    ]
    top = next(path for path, (drv, _) in graph.owners.items() if drv == graph.top)
    return Manifest(
        release=Release(tag="v1", version=1, issued=0),
        source=Source(nar_hash=records[0].nar_hash, store_path=top),
        system=System(name="two", attr="two", platform="x86_64-linux", drv_path=graph.top, out_path=top),
        builder=Builder(nix="2.8.0", sandbox=True, platform="x86_64-linux"),
        paths=tuple(records),
    )


def test_what_was_never_rebuilt_comes_first(yard: Yard) -> None:
    """Then what was rebuilt longest ago; and only what was rebuilt in the way in which it would be now counts."""
    top = yard.build(_PAIR)[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
    manifest = manifest_for(yard, graph)
    inputs = digests(graph, yard.signed(graph))
    one, two = sorted(graph.owners, key=lambda path: path[-3:])
    built = {
        path: Built(path, yard.signed(graph)[path], graph.owners[path][0], inputs[graph.owners[path][0]], at)
        for path, at in ((one, 200), (two, 100))
    }

    def order(*builds: Built) -> list[set[str]]:
        return [names(batch) for batch in plan(graph, manifest, "rebuild", builds=builds).batches]

    assert [{"one.drv", "two.drv"}] == order()
    assert [{"two.drv"}, {"one.drv"}] == order(built[one])
    assert [{"two.drv"}, {"one.drv"}] == order(*built.values())
    stale = Built(one, built[one].nar_hash, built[one].derivation, b"x" * 32, 200)
    assert [{"one.drv"}, {"two.drv"}] == order(stale, built[two])
    assert {one: 200, two: 100} == plan(graph, manifest, "rebuild", builds=built.values()).remembered


def test_other_signed_bytes_of_an_input_are_another_build(yard: Yard) -> None:
    """A derivation's name says how it is built, not from which bytes, where its inputs do not reproduce."""
    top = yard.build(_PAIR)[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
    signed = yard.signed(graph)
    one, two = sorted(graph.owners, key=lambda path: path[-3:])
    before, after = digests(graph, signed), digests(graph, signed | {one: signed[two]})

    assert before[graph.owners[one][0]] == after[graph.owners[one][0]]
    assert before[graph.owners[two][0]] != after[graph.owners[two][0]]


def test_a_fleet_shares_the_derivations(yard: Yard) -> None:
    """Each is some node's, and what is not this one's says so."""
    top = yard.build(_PAIR)[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
    manifest = manifest_for(yard, graph)
    members = ("a", "b", "c")
    plans = {name: plan(graph, manifest, "rebuild", share=Share(name, members, 1)) for name in members}

    assert sorted(graph.derivations) == sorted(drv for one in plans.values() for drv in one.derivations)
    for name, one in plans.items():
        assert {drv for drv in graph.derivations if assigned(drv, members, 1) == [name]} == one.derivations
        assert graph.outputs(one.skipped) == one.elsewhere
        assert set(one.skipped.values()) <= {"assigned to other nodes of the fleet"}
