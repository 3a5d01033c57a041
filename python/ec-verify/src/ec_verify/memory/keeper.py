"""The memory of one run: read before it, written after it. What cannot be believed is a finding, and all is read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

import structlog

from ec_closure.errors import EcError
from ec_closure.history import MAX_DUE, NextRun
from ec_verify.errors import StateError
from ec_verify.ghost.scratch import file_system
from ec_verify.memory import clock
from ec_verify.memory.choose import asked, choose, due, settled
from ec_verify.memory.contents import (
    MAX_BUILDS,
    MAX_BYTES,
    MAX_READS,
    PURPOSE,
    Binding,
    Built,
    Memory,
    MemoryRefusedError,
    MemoryUnknownError,
    Read,
    check_other,
    decode,
    encode,
)
from ec_verify.model import Problem, Recall
from ec_verify.observation import expected
from ec_verify.scan.path import Known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from ec_verify.config import Settings
    from ec_verify.judge import Case
    from ec_verify.location import StoreLocation
    from ec_verify.memory.contents import Clock
    from ec_verify.model import Rebuild
    from ec_verify.scan.path import PathObservation, PathTask
    from ec_verify.state import State

FILE = "memory"
_DAY = 86400
# f_type of statfs(2): local file systems whose inodes and change times are their own. Not overlayfs, whose inodes come
# from several; not network file systems, whose times are another machine's; not images, which are replaced as a whole.
_STEADY = frozenset({0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0xF2F52010, 0x2FC12FC1, 0xCA451A4E})

log = structlog.get_logger()


@dataclass
class Keeper:
    """What is remembered, and what of it this run believes. Made by `opened`.

    *began* are the clocks before anything was read; *now* (seconds since 1970) is the run's reference time.
    """

    state: State
    settings: Settings
    now: int
    began: Clock
    key: bytes
    binding: Binding | None = None
    memory: Memory | None = None
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _tasks: dict[str, PathTask] = field(default_factory=dict)

    @cached_property
    def reads(self) -> dict[str, Read]:
        """What was read, by store path."""
        return {read.path: read for read in self.memory.reads} if self.memory else {}

    @property
    def builds(self) -> tuple[Built, ...]:
        """What was rebuilt, and may still be believed by its age."""
        oldest = self.now - self.settings.policy.memory.max_rebuild_age_days * _DAY
        return tuple(one for one in self.memory.builds if oldest <= one.built_at <= self.now) if self.memory else ()

    def prepare(self, tasks: list[PathTask], wanted: Mapping[str, str], *, read_all: bool = False) -> list[PathTask]:
        """Return *tasks* with what is known of them: what was remembered with the bytes that are *wanted*.

        Nothing is, when *read_all* asks for all bytes. All are to be remembered.
        """
        self._tasks = {task.path: task for task in tasks}
        known = self._known(tasks, wanted) if self.memory is not None and not read_all else {}
        return [replace(task, remember=True, known=known.get(task.path)) for task in tasks]

    def _known(self, tasks: list[PathTask], wanted: Mapping[str, str]) -> dict[str, Known]:
        choice = choose(
            tasks,
            wanted,
            self.reads,
            now=self.now,
            max_age=self.settings.policy.memory.max_read_age_days * _DAY,
            runs=self.settings.config.rescan.runs,
            key=self.key,
        )
        return {
            path: Known(read.nar_hash, read.nar_size, read.fingerprint, read.entries, read.read_at)
            for path, read in choice.trusted.items()
        }

    def foresee(self, last: Case | None) -> NextRun:
        """Return what a run now would do, as far as memory and the *last* run's case tell."""
        rules = self.settings.policy.memory
        young = [one for one in self.reads.values() if 0 <= self.now - one.read_at <= rules.max_read_age_days * _DAY]
        turn = due({one.path: one for one in young}, self.settings.config.rescan.runs, self.key)
        bounded = self.settings.config.budget.bounded
        builds = self.builds if bounded else ()
        oldest = min((one.built_at for one in builds), default=None)
        return NextRun(
            remembered=len(young),
            due=len(turn),
            due_size=sum(self.reads[path].nar_size for path in turn),
            paths=tuple(turn[:MAX_DUE]),
            derivations=tuple(_order(last, builds)[:MAX_DUE]) if bounded else (),
            rebuilt=len(builds),
            rebuilt_until=None if oldest is None else oldest + rules.max_rebuild_age_days * _DAY,
        )

    def account(self, looks: Mapping[str, PathObservation]) -> Recall:
        """Return what this memory has to say to the judge, after the disk was looked at."""
        betrayed = [
            path
            for path, look in sorted(looks.items())
            if look.as_at is None
            and look.fingerprint is not None
            and (read := self.reads.get(path)) is not None
            and look.fingerprint.digest == read.fingerprint
            and look.nar_hash != read.nar_hash
        ]
        said = (
            Problem("EV904", f"{path.rpartition('/')[2]} holds other bytes, and no change time says so", path)
            for path in betrayed
        )
        delta = _delta(self.reads.keys(), looks.keys()) if self.memory is not None else ()
        return Recall(
            used=self.memory is not None,
            notes=(*self.notes, *delta),
            problems=(*self.problems, *said),
            built={one.path: one.built_at for one in self.builds},
        )

    def keep(self, case: Case) -> None:
        """Remember what *case* found good, for the report that comes next. Raises `StateError`.

        What has an anomaly, is not as signed or registered, or changed just before it was read is not remembered.
        """
        if self.binding is None or case.self_test is not None:
            self.state.remove(FILE)
            return
        manifests = tuple(one for one in (case.trust.manifest, *case.trust.others) if one is not None)
        wanted = expected(case.observation.rows, manifests)
        reads = []
        for path, look in sorted(case.observation.paths.items()):
            if look.as_at is not None:
                reads.append(self.reads[path])
            elif (read := self._good(look, wanted.get(path))) is not None:
                reads.append(read)
        memory = Memory(
            counter=self.state.counter() + 1,
            binding=self.binding,
            clock=clock.now(),
            reads=tuple(reads[:MAX_READS]),
            builds=tuple(self._built(case.rebuild, wanted))[:MAX_BUILDS],
        )
        self.state.write(FILE, encode(memory, self.key))

    def _built(self, rebuild: Rebuild | None, wanted: Mapping[str, str]) -> Iterable[Built]:
        """Yield what was rebuilt as signed: now, or earlier and not tried again since."""
        tried = rebuild.outputs if rebuild is not None else {}
        for path, seen in sorted(tried.items()):
            inputs = rebuild.inputs.get(seen.derivation) if rebuild is not None else None
            if (
                seen.rebuilt is not None
                and inputs is not None
                and seen.unsound is None
                and not seen.tainted_by
                and seen.rebuilt == wanted.get(path, seen.rebuilt)
            ):
                yield Built(path, seen.rebuilt, seen.derivation, inputs, self.began.wall // 10**9)
        yield from (one for one in self.builds if one.path not in tried)

    def _good(self, look: PathObservation, wanted: str | None) -> Read | None:
        task = self._tasks.get(look.path)
        if (
            task is None
            or look.nar_hash is None
            or look.nar_hash != wanted
            or look.problem is not None
            or look.anomalies
            or look.fingerprint is None
            or (task.ca is not None and look.deserved != look.path)
            or not settled(look.fingerprint.newest, self.began.wall)
        ):
            return None
        return Read(
            path=look.path,
            nar_hash=look.nar_hash,
            nar_size=look.nar_size,
            asked=asked(task),
            deserved=task.ca is not None,
            fingerprint=look.fingerprint.digest,
            entries=look.fingerprint.entries,
            read_at=self.began.wall // 10**9,
        )


def _delta(before: AbstractSet[str], now: AbstractSet[str]) -> tuple[str, ...]:
    """Say how a generation differs from what the last run found good, if it does."""
    new, gone = len(now - before), len(before - now)
    if not new and not gone:
        return ()
    return (f"generation: {new} paths are new since the last run, {len(now & before)} were kept, {gone} are gone",)


def _order(last: Case | None, builds: Iterable[Built]) -> list[str]:
    """Return derivations in the order in which they are rebuilt: first what *last* was asked for and no run rebuilt."""
    known = {one.path for one in builds}
    fresh: set[str] = set()
    if last is not None and last.rebuild is not None:
        fresh = {seen.derivation for path, seen in last.rebuild.outputs.items() if path not in known}
        missed = last.rebuild.skipped.keys() - known - last.rebuild.elsewhere
        signed = last.trust.manifest.paths if last.trust.manifest is not None else ()
        fresh |= {record.deriver for record in signed if record.path in missed and record.deriver is not None}
    old = [one.derivation for one in sorted(builds, key=lambda one: (one.built_at, one.derivation))]
    return list(dict.fromkeys([*sorted(fresh), *old]))


def opened(settings: Settings, state: State, *, now: int, tidy: bool = True) -> Keeper | None:
    """Return the memory for a run; None where there can be none: no key, or verify.toml says so.

    With *tidy* what is switched off is also removed: found later, it would look as if it had been put back. Without, as
    for a look at what is there, nothing is written, not even a node's first key.
    """
    if not settings.config.rescan.enabled:
        if tidy:
            state.remove(FILE)
        return None
    key = _key(state) if tidy or state.has_key() else None
    if key is None:
        return None
    keeper = Keeper(state, settings, now, clock.now(), key)
    keeper.binding = _binding(settings, settings.config.location, keeper.notes)
    try:
        found = _read(state, key)
    except MemoryRefusedError as error:
        keeper.problems.append(Problem("EV902", f"what was remembered is {error.message}: everything was read"))
        return keeper
    except MemoryUnknownError as error:
        log.info("what was remembered is not used", reason=str(error))
        keeper.notes.append("remembered by another version of ec-verify: everything was read")
        return keeper
    if found is None:
        keeper.notes.append("nothing was remembered yet")
    elif found.binding != keeper.binding:
        if keeper.binding is not None:
            keeper.notes.append(f"what was remembered is about {_difference(found.binding, keeper.binding)}")
    elif slipped := clock.set_back(found.clock, keeper.began):
        keeper.problems.append(Problem("EV903", f"{slipped}: what was remembered is not used"))
    else:
        keeper.memory = found
    return keeper


def _key(state: State) -> bytes | None:
    try:
        return state.derived_key(PURPOSE)
    except EcError as error:
        log.warning("nothing is remembered without a key", reason=str(error))
        return None


def _read(state: State, key: bytes) -> Memory | None:
    data = state.read(FILE, MAX_BYTES + 1)
    if data is None:
        return None
    check_other(data, state.derived_key)
    memory = decode(data, key)
    try:
        last = state.counter()
    except StateError:
        last = 0  # said when the report is numbered
    if memory.counter < last:
        raise MemoryRefusedError(f"of report {memory.counter}, and report {last} was the last one")
    return memory


def _binding(settings: Settings, location: StoreLocation, notes: list[str]) -> Binding | None:
    try:
        device, kind = location.store.stat().st_dev, file_system(location.store)
    except (OSError, EcError):
        return None  # no store; said where it is looked at
    if kind not in _STEADY:
        notes.append(f"nothing is remembered on a file system of this kind ({kind:#x}): its change times prove nothing")
        return None
    return Binding(
        store=str(location.store)[:1024],
        device=device,
        file_system=kind,
        policy=settings.policy_digest,
        verifier=version("ec-verify"),
    )


def _difference(one: Binding, other: Binding) -> str:
    if one.policy != other.policy:
        return "another policy"
    return "another version of ec-verify" if one.verifier != other.verifier else "another store"
