"""Steps 2 and 3 together: one consistent look at the store and at what runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.errors import LocalError
from ec_closure.policy import NO_RULES
from ec_closure.store_db import StoreDatabase
from ec_closure.store_db_audit import Audit
from ec_closure.store_path import HASH_PART_LENGTH
from ec_verify.location import base_name
from ec_verify.model import Observation, Problem
from ec_verify.observe import layers, mounts, root
from ec_verify.scan.busy import Patience, working_on
from ec_verify.scan.directory import inspect_store
from ec_verify.scan.entries import Entry, unknown_entries
from ec_verify.scan.links import LINKS, inspect_links
from ec_verify.scan.litter import inspect_litter
from ec_verify.scan.path import PathTask
from ec_verify.scan.pool import look_at_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ec_closure.manifest import Manifest
    from ec_closure.policy import Metadata
    from ec_closure.store_db import PathInfo
    from ec_verify.location import StoreLocation
    from ec_verify.memory.keeper import Keeper
    from ec_verify.observe.running import Running
    from ec_verify.scan.metadata import Owner
    from ec_verify.scan.oddity import Oddity
    from ec_verify.scan.path import PathObservation


def tasks(
    location: StoreLocation,
    rows: dict[str, PathInfo],
    manifests: tuple[Manifest, ...],
    owner: Owner,
    *,
    references: bool = False,
) -> list[PathTask]:
    """Return what is to be looked at: every registered path and every path of a trusted manifest.

    How a path is content-addressed comes from the first manifest that lists it, else from the row:
    only the method is used, the digest is computed from the bytes. With *references*, what is signed is also searched
    for the hash parts of all these paths.
    """
    signed = {
        record.path: (record.ca, manifest.references_of(record), record.nar_size)
        for manifest in reversed(manifests)
        for record in (*manifest.paths, *manifest.contents)
    }
    found = []
    candidates = frozenset(base_name(path)[:HASH_PART_LENGTH] for path in (*rows, *signed)) if references else None
    for path in sorted(rows.keys() | signed.keys()):
        row = rows.get(path)
        # Either speaks for the path: a signed size, or else that of its row.
        ca, needed, size = signed.get(path, (row.ca, row.references, row.nar_size) if row else (None, (), 0))
        if ca is None and row is not None:
            ca = row.ca  # of what is signed: an address that somebody made up is then seen not to fit
        found.append(
            PathTask(
                path=path,
                physical=str(location.physical(path)),
                store_dir=location.store_dir,
                ca=ca,
                references=needed,
                owner=owner,
                size=size,
                limit=size,
                candidates=candidates if path in signed else None,
                doubted=path not in signed,
            )
        )
    return found


def observe(
    location: StoreLocation,
    seen: Running,
    manifests: tuple[Manifest, ...],
    *,
    rules: Metadata = NO_RULES,
    total: Callable[[int], None] = lambda _bytes: None,
    advance: Callable[[int], None] = lambda _bytes: None,
    patience: Patience | None = None,
    references: bool = False,
    memory: Keeper | None = None,
    read_all: bool = False,
) -> Observation:
    """Look at database, store directory, mounts and bytes. Raises `LocalError` when there is no store at all.

    What *memory* recalls is not read again, unless *read_all* says so.

    A garbage collection, a substitution or a build may run meanwhile (pitfall P45). So after the pass the database is
    asked again about what vanished, changed or came, and those paths are looked at again, until nothing moves or
    *patience* ends; what then still differs is an observation, and what is then still held by others is said to be.
    """
    owner, oddities = _directory(location, rules)
    rows, problems = _rows(location)
    audit, unaudited = _audit(location)
    todo = tasks(location, rows, manifests, owner, references=references)
    total(sum(task.size for task in todo))
    known = memory.prepare(todo, expected(rows, manifests), read_all=read_all) if memory is not None else todo
    looks = look_at_all(known, advance=advance)
    moment = _Moment(location, manifests, owner, rows, looks, problems, references=references)
    entries, partial = moment.settle(patience or Patience())
    entries, strange, unread = _beside(location, owner, entries)
    mounted = mounts.observe()
    signed = {record.path for manifest in manifests[:1] for record in manifest.paths}
    return Observation(
        running=seen,
        mounts=tuple(mounts.over_store(location, mounted)),
        rows=moment.rows,
        entries=entries,
        paths=moment.paths,
        problems=moment.problems or unaudited,
        partial=(*partial, *unread),
        oddities=(*oddities, *strange),
        database=audit,
        layers=layers.observe(location, mounted, seen.current, [task for task in todo if task.path in signed]),
        written=root.observe(location, mounted),
        searched=references,
    )


def expected(rows: dict[str, PathInfo], manifests: tuple[Manifest, ...]) -> dict[str, str]:
    """Return the SRI hash that the bytes of each path should have: as signed, else as registered."""
    signed = {
        record.path: record.nar_hash
        for manifest in reversed(manifests)
        for record in (*manifest.paths, *manifest.contents)
    }
    return {path: row.nar_hash.sri for path, row in rows.items()} | signed


def look_again(
    location: StoreLocation,
    rows: dict[str, PathInfo],
    manifests: tuple[Manifest, ...],
    paths: Iterable[str],
    rules: Metadata = NO_RULES,
) -> dict[str, PathObservation]:
    """Look at *paths* once more, as `observe` did; a path that changes under the look gets a second one.

    Raises `LocalError` when there is no store any more.
    """
    owner, _ = _directory(location, rules)
    wanted = set(paths)
    todo = [task for task in tasks(location, rows, manifests, owner) if task.path in wanted]
    looks = look_at_all(todo)
    return looks | look_at_all([task for task in todo if looks[task.path].problem == "changed"])


@dataclass
class _Moment:
    """What was seen so far, and how it comes to be of one moment."""

    location: StoreLocation
    manifests: tuple[Manifest, ...]
    owner: Owner
    rows: dict[str, PathInfo]
    paths: dict[str, PathObservation]
    problems: tuple[Problem, ...]
    references: bool = False
    settled: set[str] = field(default_factory=set)

    def settle(self, patience: Patience) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
        """Look again until nothing moves. Return the entries without a row, and why not all of it is known."""
        start = patience.clock()
        while True:
            # The directory first and the rows after it: what was registered in between is then known.
            listed = _entries(self.location, self.paths)
            suspects = self._suspects()
            if not (listed or suspects):
                return (), ()
            restless = self._again(suspects)
            if self.problems:
                return listed, ()
            known = {base_name(path) for path in self.paths}
            waited = patience.clock() - start
            entries, held, young = [], [], False
            for entry in listed:
                if entry.name in known:
                    continue
                work = "nobody" if entry.status == "in flight" else self._working_on(entry, patience)
                if work == "held":
                    held.append(entry.name)
                young |= work == "new" and waited < patience.quiet
                if work != "gone":
                    entries.append(Entry(entry.name, "in flight") if work == "held" else entry)
            if not (restless or held or young) or waited >= patience.seconds:
                return tuple(entries), _held(held)
            patience.pause(patience.interval)

    def _working_on(self, entry: Entry, patience: Patience) -> str:
        return working_on(self.location.store, self.location.state, entry.name, patience)

    def _suspects(self) -> set[str]:
        """Return the paths that may be moving: they vanished or changed, or their row speaks of other bytes."""
        return {
            path
            for path, look in self.paths.items()
            if path not in self.settled
            and (
                look.problem in ("missing", "changed")
                or (path in self.rows and look.nar_hash is not None and look.nar_hash != self.rows[path].nar_hash.sri)
            )
        }

    def _again(self, suspects: set[str]) -> bool:
        """Ask the database again and look at what moves; whether any of it may be moving still."""
        now, trouble = _rows(self.location)
        self.problems = self.problems or trouble
        unstable = {path for path in suspects if self.paths[path].problem in ("missing", "changed")}
        moving = set(unstable)
        if not self.problems:
            moving |= now.keys() - self.rows.keys()
            moving |= {path for path in suspects - unstable if now.get(path) != self.rows.get(path)}
            self.rows = _moved(self.rows, now, moving)
        before = self.paths
        todo = tasks(self.location, self.rows, self.manifests, self.owner, references=self.references)
        again = [task for task in todo if task.path in moving]
        self.paths = {path: look for path, look in before.items() if path not in moving} | look_at_all(again)
        # What is missing twice is missing, and bytes that their row does not know are not asked about again.
        gone = {path for path in suspects & self.paths.keys() if self.paths[path].problem == "missing"}
        self.settled |= (suspects - moving) | {path for path in gone if before[path].problem == "missing"}
        looks = [self.paths[path] for path in (moving & self.paths.keys()) - self.settled]
        return bool(moving - self.paths.keys()) or any(look.problem in ("missing", "changed") for look in looks)


def _held(names: list[str]) -> tuple[str, ...]:
    if not names:
        return ()
    return (f"{len(names)} entries of the store directory are being made or removed, the first {names[0]}",)


def _beside(
    location: StoreLocation, owner: Owner, entries: tuple[Entry, ...]
) -> tuple[tuple[Entry, ...], list[Oddity], list[str]]:
    """Look into what is neither a registered path nor unknown. Return the entries, oddities, and what was not read."""
    unread = []
    try:
        oddities = inspect_links(location.store, owner)
    except OSError as error:
        oddities = []
        unread.append(f"{LINKS} could not be read: {error.strerror}")
    try:
        litter = inspect_litter(location.store, [entry.name for entry in entries if entry.status == "in flight"])
    except OSError as error:
        raise _unreadable(location, error) from error
    if litter.unread:
        unread.append(f"{len(litter.unread)} entries of work under way could not be read, as {litter.unread[0]}")
    endless = set(litter.endless)
    entries = tuple(Entry(entry.name, "extra") if entry.name in endless else entry for entry in entries)
    return entries, [*oddities, *litter.oddities], unread


def _rows(location: StoreLocation) -> tuple[dict[str, PathInfo], tuple[Problem, ...]]:
    try:
        with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
            return database.all_infos(), ()
    except LocalError as error:
        return {}, (Problem("EV211", f"the store database cannot be read: {error}"),)


def _audit(location: StoreLocation) -> tuple[Audit, tuple[Problem, ...]]:
    try:
        with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
            return database.audit(), ()
    except LocalError as error:
        return Audit(), (Problem("EV215", f"the store database cannot be audited: {error}"),)


def _moved(rows: dict[str, PathInfo], now: dict[str, PathInfo], moving: set[str]) -> dict[str, PathInfo]:
    """Return *rows* with what the database says *now* of the paths that are *moving*."""
    kept = {path: row for path, row in rows.items() if path not in moving}
    return kept | {path: now[path] for path in moving & now.keys()}


def _directory(location: StoreLocation, rules: Metadata) -> tuple[Owner, list[Oddity]]:
    try:
        owner, oddities = inspect_store(location.store, rules)
    except OSError as error:
        raise _unreadable(location, error) from error
    return (owner.of_image() if mounts.is_image(location, mounts.observe()) else owner), oddities


def _entries(location: StoreLocation, paths: Iterable[str]) -> tuple[Entry, ...]:
    try:
        return tuple(unknown_entries(location.store, {base_name(path) for path in paths}))
    except OSError as error:
        raise _unreadable(location, error) from error


def _unreadable(location: StoreLocation, error: OSError) -> LocalError:
    return LocalError(
        f"no store can be read here: {error.strerror}",
        place=str(location.store),
        hint="see `store` in verify.toml, or --root and --store-dir",
    )
