"""Steps 2 and 3 together: one consistent look at the store and at what runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.errors import LocalError
from ec_closure.store_db import StoreDatabase
from ec_verify.location import base_name
from ec_verify.model import Observation, Problem
from ec_verify.observe import mounts
from ec_verify.scan.entries import unknown_entries
from ec_verify.scan.metadata import Owner
from ec_verify.scan.path import PathTask
from ec_verify.scan.pool import look_at_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ec_closure.manifest import Manifest
    from ec_closure.store_db import PathInfo
    from ec_verify.location import StoreLocation
    from ec_verify.observe.running import Running
    from ec_verify.scan.entries import Entry


def tasks(
    location: StoreLocation, rows: dict[str, PathInfo], manifests: tuple[Manifest, ...], owner: Owner
) -> list[PathTask]:
    """Return what is to be looked at: every registered path and every path of a trusted manifest.

    How a path is content-addressed comes from the first manifest that lists it, else from the row:
    only the method is used, the digest is computed from the bytes.
    """
    signed = {
        record.path: (record.ca, manifest.references_of(record), record.nar_size)
        for manifest in reversed(manifests)
        for record in (*manifest.paths, *manifest.contents)
    }
    found = []
    for path in sorted(rows.keys() | signed.keys()):
        row = rows.get(path)
        # Either speaks for the path: a signed size, or else that of its row.
        ca, references, size = signed.get(path, (row.ca, row.references, row.nar_size) if row else (None, (), 0))
        found.append(
            PathTask(
                path=path,
                physical=str(location.physical(path)),
                store_dir=location.store_dir,
                ca=ca,
                references=references,
                owner=owner,
                size=size,
                limit=size,
            )
        )
    return found


def observe(
    location: StoreLocation,
    seen: Running,
    manifests: tuple[Manifest, ...],
    *,
    total: Callable[[int], None] = lambda _bytes: None,
    advance: Callable[[int], None] = lambda _bytes: None,
) -> Observation:
    """Look at database, store directory, mounts and bytes. Raises `LocalError` when there is no store at all.

    A garbage collection or a build may run meanwhile (pitfall P45). So after the pass the database is asked once
    more about what vanished, changed or came, and those paths are looked at again; what then still differs is an
    observation.
    """
    owner = _owner(location)
    rows, problems = _rows(location)
    todo = tasks(location, rows, manifests, owner)
    total(sum(task.size for task in todo))
    paths = look_at_all(todo, advance=advance)
    entries = _entries(location, paths)
    moving = {path for path, look in paths.items() if look.problem in ("missing", "changed")}
    if moving or entries:
        now, trouble = _rows(location)
        problems = problems or trouble
        if not problems:
            moving |= now.keys() - rows.keys()
            rows = _moved(rows, now, moving)
        again = [task for task in tasks(location, rows, manifests, owner) if task.path in moving]
        paths = {path: look for path, look in paths.items() if path not in moving} | look_at_all(again)
        entries = _entries(location, paths)
    return Observation(
        running=seen,
        mounts=tuple(mounts.over_store(location, mounts.observe())),
        rows=rows,
        entries=entries,
        paths=paths,
        problems=problems,
    )


def _rows(location: StoreLocation) -> tuple[dict[str, PathInfo], tuple[Problem, ...]]:
    try:
        with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
            return database.all_infos(), ()
    except LocalError as error:
        return {}, (Problem("EV211", f"the store database cannot be read: {error}"),)


def _moved(rows: dict[str, PathInfo], now: dict[str, PathInfo], moving: set[str]) -> dict[str, PathInfo]:
    """Return *rows* with what the database says *now* of the paths that are *moving*."""
    kept = {path: row for path, row in rows.items() if path not in moving}
    return kept | {path: now[path] for path in moving & now.keys()}


def _owner(location: StoreLocation) -> Owner:
    try:
        return Owner.of(location.store.stat())
    except OSError as error:
        raise _unreadable(location, error) from error


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
