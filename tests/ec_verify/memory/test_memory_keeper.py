"""What is remembered between runs, and what is not believed."""

from __future__ import annotations

import hmac
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import pytest

from ec_closure.policy import Memory as MemoryRules
from ec_closure.policy import Policy
from ec_verify.config import Config, Settings
from ec_verify.config_tables import BudgetTable, RescanTable, StoreTable
from ec_verify.memory import clock, keeper
from ec_verify.memory.contents import Built, Clock
from ec_verify.model import Observation, TrustOutcome
from ec_verify.observe.running import Running
from ec_verify.scan.path import PathTask, look
from ec_verify.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_verify.conftest import Names, Scene

    from ec_verify.judge import Case
    from ec_verify.memory.keeper import Keeper
    from ec_verify.scan.path import PathObservation

# Long after every file of a test was made: the kernel's clock cannot be set, ours can.
THEN = 4_200_000_000
DAY = 86400


class Machine:
    """A store of a few files, and the runs over it."""

    def __init__(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch, scene: Scene, names: type[Names], count: int = 40
    ) -> None:
        self.monkeypatch = monkeypatch
        self.scene = scene
        self.names = names
        self.store = directory / "root" / "nix" / "store"
        self.store.mkdir(parents=True)
        self.wall = THEN
        self.boot = "boot-1"
        self.since_boot = 0
        self.state = State(directory / "state")
        self.settings = Settings(
            Config(
                state_dir=str(directory / "state"),
                store=StoreTable(root=str(directory / "root")),
                rescan=RescanTable(runs=10),
            ),
            "0" * 64,
            Policy(),
            "0" * 64,
        )
        self.wanted: dict[str, str] = {}
        self.tasks = [self.added(f"{number}") for number in range(count)]

    def added(self, content: str) -> PathTask:
        """Put another path into the store."""
        path = self.names.store_path(f"thing-{content}")
        file = self.physical(path)
        file.write_text(content)
        task = PathTask(path=path, physical=str(file), store_dir="/nix/store", remember=True)
        self.wanted[path] = look(task).nar_hash or ""
        return task

    def physical(self, path: str) -> Path:
        """Return where a path lies."""
        return self.store / path.rpartition("/")[2]

    def open(self) -> Keeper:
        """Start a run."""
        self.monkeypatch.setattr(clock, "now", lambda: Clock(self.wall * 10**9, self.since_boot * 10**9, self.boot))
        opened = keeper.opened(self.settings, self.state, now=self.wall)
        assert opened is not None
        return opened

    def run(self, *, numbered: bool = True) -> tuple[set[str], list[str], tuple[str, ...]]:
        """Do one run; return what was not read again, the codes, and the notes."""
        memory = self.open()
        looks = {task.path: look(task) for task in memory.prepare(self.tasks, self.wanted)}
        recalled = {path for path, seen in looks.items() if seen.as_at is not None}
        account = memory.account(looks)
        memory.keep(self.case(looks))
        if numbered:
            self.state.next_counter()
        return recalled, [problem.code for problem in account.problems], account.notes

    def case(self, looks: dict[str, PathObservation]) -> Case:
        """Return what a run would judge: paths that only the database speaks for."""
        rows = {
            path: self.names.row_of(self.names.record(path, nar_hash=nar_hash))
            for path, nar_hash in self.wanted.items()
        }
        observation = Observation(Running(None, None, None), (), rows, (), looks)
        return replace(self.scene.case, trust=TrustOutcome(), observation=observation)

    def later(self, seconds: int = 3600) -> None:
        """Let time pass."""
        self.wall += seconds
        self.since_boot += seconds


@pytest.fixture
def machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenes: Callable[..., Scene], names: type[Names]
) -> Machine:
    """Give a machine on a file system whose change times count."""
    return Machine(tmp_path, monkeypatch, scenes("bytes"), names)


def test_the_second_run_reads_a_part_only(machine: Machine) -> None:
    """One part of ten is read in turn, the rest is as it was."""
    assert (set(), [], ("nothing was remembered yet",)) == machine.run()
    machine.later()

    recalled, codes, notes = machine.run()

    assert (36, [], ()) == (len(recalled), codes, notes)


def test_everything_has_its_turn(machine: Machine) -> None:
    """In ten runs each path was read once more."""
    machine.run()
    read: set[str] = set()
    for _ in range(10):
        machine.later()
        read |= {task.path for task in machine.tasks} - machine.run()[0]

    assert {task.path for task in machine.tasks} == read


def test_a_byte_under_a_restored_time_stamp_is_read(machine: Machine) -> None:
    """The change time tells."""
    machine.run()
    path = machine.tasks[7].path
    before = machine.physical(path).stat()
    machine.physical(path).write_bytes(b"X")
    os.utime(machine.physical(path), ns=(before.st_atime_ns, before.st_mtime_ns))
    machine.later()

    assert path not in machine.run()[0]


def test_what_is_not_good_is_not_remembered(machine: Machine) -> None:
    """Other bytes than those that were signed or registered are read every time."""
    path = machine.tasks[3].path
    machine.physical(path).write_bytes(b"not it")
    machine.run()
    machine.later()

    assert path not in machine.run()[0]
    assert path not in {read.path for read in machine.open().memory.reads}  # type: ignore[union-attr] # it was opened


@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: data + b"x", lambda _data: b""])
def test_a_damaged_memory_is_a_finding_and_everything_is_read(
    machine: Machine, damage: Callable[[bytes], bytes]
) -> None:
    """Once: the run after it remembers anew."""
    machine.run()
    file = machine.state.path / keeper.FILE
    file.write_bytes(damage(file.read_bytes()))
    machine.later()

    assert (set(), ["EV902"]) == machine.run()[:2]
    machine.later()
    assert [] == machine.run()[1]


def test_what_another_version_remembered_is_no_finding_and_not_believed(machine: Machine) -> None:
    """Its format has a key of its own, which this node has and who forges has not."""
    machine.run()
    head = b"ec-verify memory v7\n"
    mac = hmac.digest(machine.state.derived_key("memory of verdicts v7"), head + b"{}", "sha256")
    file = machine.state.path / keeper.FILE
    file.write_bytes(head + mac + b"{}")
    machine.later()

    note = "remembered by another version of ec-verify: everything was read"
    assert (set(), [], (note,)) == machine.run()

    file.write_bytes(head + bytes(32) + b"{}")
    machine.later()
    assert (set(), ["EV902"]) == machine.run()[:2]


def test_a_look_at_what_comes_makes_no_key(machine: Machine) -> None:
    """Who only asks leaves the node as it was."""
    assert keeper.opened(machine.settings, machine.state, now=THEN, tidy=False) is None
    assert not machine.state.path.exists()


def test_a_new_generation_is_told_by_what_came_and_went(machine: Machine) -> None:
    """Nothing is said where nothing did."""
    machine.run()
    machine.later()
    assert () == machine.run()[2]

    machine.tasks.append(machine.added("new"))
    machine.tasks.pop(0)
    machine.later()
    said = machine.run()[2]
    assert ("generation: 1 paths are new since the last run, 39 were kept, 1 are gone",) == said


def test_what_no_run_rebuilt_comes_first(machine: Machine, scenes: Callable[..., Scene], names: type[Names]) -> None:
    """Then what was rebuilt longest ago, where rebuilding has a budget at all."""
    machine.run()
    memory = machine.open()
    builds = [
        Built(names.store_path(name), names.sri(name), names.store_path(f"{name}.drv"), b"i" * 32, THEN - age)
        for name, age in (("young", 1), ("old", 2))
    ]
    memory.memory = msgspec.structs.replace(memory.memory, builds=tuple(builds))
    case = scenes("rebuild").evidence(names.tool, rebuilt=None).case
    first = case.rebuild.outputs[names.tool].derivation if case.rebuild is not None else ""
    assert () == memory.foresee(case).derivations

    budget = msgspec.structs.replace(machine.settings.config, budget=BudgetTable(time=9))
    memory.settings = replace(machine.settings, config=budget)
    order = memory.foresee(case).derivations
    assert first in order[:-2]
    assert (builds[1].derivation, builds[0].derivation) == order[-2:]
    assert order[-2:] == memory.foresee(None).derivations


def test_an_older_memory_is_a_finding(machine: Machine) -> None:
    """Its key is right and its counter is not."""
    machine.run()
    old = (machine.state.path / keeper.FILE).read_bytes()
    machine.later()
    machine.run()
    (machine.state.path / keeper.FILE).write_bytes(old)
    machine.later()

    assert (set(), ["EV902"]) == machine.run()[:2]


def test_a_run_that_was_killed_before_its_report_was_numbered_is_no_finding(machine: Machine) -> None:
    """Memory is written first: it may be ahead of the counter, and that is no replay."""
    machine.run()
    machine.later()
    machine.run(numbered=False)
    machine.later()

    recalled, codes, _ = machine.run()
    assert ([], True) == (codes, bool(recalled))


def test_a_clock_that_was_set_back_is_information_and_everything_is_read(machine: Machine) -> None:
    """Also when it is later than at the last run, but earlier than it should be."""
    machine.run()
    machine.wall += 100
    machine.since_boot += 7200

    assert (set(), ["EV903"]) == machine.run()[:2]


def test_another_boot_is_no_reason(machine: Machine) -> None:
    """Change times outlive reboots, and so does what is remembered."""
    machine.run()
    machine.wall += 3600
    machine.boot, machine.since_boot = "boot-2", 5

    assert machine.run()[0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policy_digest": "1" * 64}, "another policy"),
        ({"store": True}, "another store"),
    ],
)
def test_under_other_rules_everything_is_read(machine: Machine, change: dict[str, object], said: str) -> None:
    """A verdict under another policy is none under this one; it is said, and is no finding."""
    machine.run()
    machine.later()
    if "store" in change:
        (machine.store.parent / "other").mkdir()
        table = msgspec.structs.replace(machine.settings.config.store, dir="/nix/other", root="/")
        memory = machine.open().memory
        assert memory is not None
        assert said == keeper._difference(memory.binding, msgspec.structs.replace(memory.binding, store=table.dir))
        return
    machine.settings = replace(machine.settings, policy_digest="1" * 64)

    recalled, codes, notes = machine.run()

    assert (set(), [], (f"what was remembered is about {said}",)) == (recalled, codes, notes)


def test_policy_bounds_the_age(machine: Machine) -> None:
    """What was read too long ago is read again."""
    machine.settings = replace(machine.settings, policy=Policy(memory=MemoryRules(max_read_age_days=2)))
    machine.run()
    machine.later(2 * DAY + 1)

    assert set() == machine.run()[0]


def test_what_changed_just_before_it_was_read_is_not_remembered(machine: Machine) -> None:
    """It could change once more within the same tick of the kernel's clock."""
    newest = machine.physical(machine.tasks[-1].path).stat().st_ctime_ns
    machine.wall = newest // 10**9
    machine.run()

    assert () == machine.open().memory.reads  # type: ignore[union-attr] # it was just written


def test_bytes_that_changed_without_a_trace_are_a_finding(machine: Machine) -> None:
    """When a path's turn comes and its fingerprint is the old one, but not its bytes, the disk is not to be trusted."""
    machine.run()
    machine.later()
    memory = machine.open()
    memory.prepare(machine.tasks, machine.wanted, read_all=True)
    path = machine.tasks[0].path
    seen = {task.path: look(task) for task in machine.tasks}
    seen[path] = replace(seen[path], nar_hash=machine.names.sri("rotten"))

    (problem,) = memory.account(seen).problems

    assert ("EV904", path) == (problem.code, problem.path)


def test_a_file_system_without_change_times_of_its_own_remembers_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An overlay's inodes come from several file systems."""
    machine.run()
    monkeypatch.setattr(keeper, "file_system", lambda _path: 0x794C7630)
    machine.later()

    recalled, codes, notes = machine.run()

    assert (set(), []) == (recalled, codes)
    assert "file system of this kind" in notes[0]
    assert not (machine.state.path / keeper.FILE).exists()


def test_memory_that_is_switched_off_leaves_no_file(machine: Machine) -> None:
    """An old one, found later, would look as if it had been put back."""
    machine.run()
    config = msgspec.structs.replace(machine.settings.config, rescan=RescanTable(enabled=False))

    assert None is keeper.opened(replace(machine.settings, config=config), machine.state, now=THEN)
    assert not (machine.state.path / keeper.FILE).exists()


def test_a_verifier_that_failed_its_own_test_remembers_nothing(machine: Machine) -> None:
    """Its other words are not to be trusted, also not by later runs."""
    machine.run()
    memory = machine.open()
    looks = {task.path: look(task) for task in memory.prepare(machine.tasks, machine.wanted)}

    memory.keep(replace(machine.case(looks), self_test="a flipped byte was not seen"))

    assert not (machine.state.path / keeper.FILE).exists()
