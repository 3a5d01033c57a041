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
    from collections.abc import Callable

    from ec_closure.manifest import Manifest
    from ec_closure.store_db import PathInfo
    from ec_verify.location import StoreLocation
    from ec_verify.observe.running import Running
    from ec_verify.scan.path import PathObservation


def tasks(
    location: StoreLocation, rows: dict[str, PathInfo], manifests: tuple[Manifest, ...], owner: Owner
) -> list[PathTask]:
    """Return what is to be looked at: every registered path and every path of a trusted manifest.

    How a path is content-addressed comes from the manifest where there is one, else from the row:
    only the method is used, the digest is computed from the bytes.
    """
    signed = {
        record.path: (record.ca, manifest.references_of(record), record.nar_size)
        for manifest in manifests
        for record in (*manifest.paths, *manifest.contents)
    }
    found = []
    for path in sorted(rows.keys() | signed.keys()):
        row = rows.get(path)
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

    A path that vanished or changed while it was read is looked at once more after the pass, since a
    garbage collection or a build may run (pitfall P45); what then still differs is an observation.
    """
    try:
        status = location.store.stat()
    except OSError as error:
        raise LocalError(f"no store here: {error.strerror}", place=str(location.store)) from error
    rows, problems = _rows(location)
    todo = tasks(location, rows, manifests, Owner.of(status))
    total(sum(task.size for task in todo))
    paths = look_at_all(todo, advance=advance)
    rows, paths = _again(location, rows, todo, paths)
    known = {base_name(path) for path in paths}
    return Observation(
        running=seen,
        mounts=tuple(mounts.over_store(location, mounts.observe())),
        rows=rows,
        entries=tuple(unknown_entries(location.store, known)),
        paths=paths,
        problems=problems,
    )


def _rows(location: StoreLocation) -> tuple[dict[str, PathInfo], tuple[Problem, ...]]:
    try:
        with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
            return database.all_infos(), ()
    except LocalError as error:
        return {}, (Problem("EV211", f"the store database cannot be read: {error}"),)


def _again(
    location: StoreLocation,
    rows: dict[str, PathInfo],
    todo: list[PathTask],
    paths: dict[str, PathObservation],
) -> tuple[dict[str, PathInfo], dict[str, PathObservation]]:
    moving = [task for task in todo if paths[task.path].problem in ("missing", "changed")]
    if not moving:
        return rows, paths
    now, _ = _rows(location)
    gone = {task.path for task in moving if task.path in rows and task.path not in now}
    second = look_at_all(moving)
    return (
        {path: row for path, row in rows.items() if path not in gone},
        {path: second.get(path, seen) for path, seen in paths.items()},
    )
