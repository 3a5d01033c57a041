"""Noticing that the store changed while it was examined: then what was seen is no state that ever was.

Looked at are the rows of the paths that matter and the identity of their roots on disk. A root's times also move when
`nix-store --optimise` makes hard links, so a path that moved is looked at once more and has only changed if it is seen
otherwise. Not seen: a change deep inside a path after it was hashed, and one that was undone; the next run sees what
is left of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ec_closure.errors import LocalError
from ec_closure.policy import NO_RULES
from ec_closure.store_db import StoreDatabase
from ec_verify.observation import look_again

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.manifest import Manifest
    from ec_closure.policy import Metadata
    from ec_verify.location import StoreLocation
    from ec_verify.model import Observation


def snapshot(location: StoreLocation, paths: Iterable[str]) -> dict[str, tuple[object, ...]]:
    """Return what identifies each of *paths* now: its row, and its root's inode, size and times."""
    try:
        with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
            rows = database.all_infos()
    except LocalError:
        rows = {}  # judged elsewhere (EV211); the disk is still compared
    found: dict[str, tuple[object, ...]] = {}
    for path in paths:
        try:
            status = location.physical(path).lstat()
        except OSError:
            found[path] = (rows.get(path),)
        else:
            found[path] = (rows.get(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


def changed(before: dict[str, tuple[object, ...]], after: dict[str, tuple[object, ...]]) -> list[str]:
    """Return the paths whose identity differs, sorted."""
    return sorted(path for path, identity in before.items() if after.get(path) != identity)


def moved(
    location: StoreLocation,
    manifests: tuple[Manifest, ...],
    before: dict[str, tuple[object, ...]],
    observed: Observation,
    rules: Metadata = NO_RULES,
) -> list[str]:
    """Return the paths of *before* that are not any more as they were *observed*, sorted.

    Raises `LocalError` when the store is gone.
    """
    after = snapshot(location, before)
    suspects = changed(before, after)
    # The row comes first in an identity: nothing honest changes that one.
    same_row = [path for path in suspects if before[path][0] == after[path][0]]
    looks = look_again(location, observed.rows, manifests, same_row, rules) if same_row else {}
    # The second look does not search for references; the same bytes have the same ones.
    seen = {path: replace(look, occurring=None) for path, look in observed.paths.items() if path in looks}
    return [path for path in suspects if path not in looks or looks[path] != seen.get(path)]
