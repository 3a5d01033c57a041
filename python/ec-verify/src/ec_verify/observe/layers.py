"""What the store directory is made of: mounts on it, and the layers below it where it is seen through an overlay.

Netboot and ISO systems have an overlay on the store directory: an image below, a tmpfs above (pitfall P41). Runners
whose root is an overlay have the store in it. What processes read is the merged view, and that is what step 3 hashes;
here is what it is merged from. A path without an entry in the upper layer is one file in both, and is not read twice.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ec_closure.files import open_regular
from ec_closure.nar.directories import OPEN_DIRECTORY
from ec_verify.location import base_name
from ec_verify.observe.mounts import Mount, way_to
from ec_verify.observe.overlay import Layers, layers, reach, unseen
from ec_verify.observe.running import store_path_behind
from ec_verify.observe.upper import UpperEntry, entry_of
from ec_verify.scan.path import PathObservation, look

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from ec_verify.location import StoreLocation
    from ec_verify.scan.path import PathTask

_MAX_FSTAB = 1 << 20
_FIELDS = 3


@dataclass(frozen=True)
class StoreLayers:
    """*mounts* lie on the store directory itself, lowest first; the store bound over itself is none.

    *declared* is the file system that the running system's own fstab puts there, None when it puts none, or has no
    fstab. *upper* are the store paths with an entry in the upper layer, *below* what the lower layers have under the
    names of those that were asked for. *unknown* says what could not be seen.
    """

    mounts: tuple[Mount, ...] = ()
    declared: str | None = None
    upper: tuple[UpperEntry, ...] = ()
    below: dict[str, PathObservation] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def observe(
    location: StoreLocation, mounts: list[Mount], current: str | None, tasks: Iterable[PathTask]
) -> StoreLayers:
    """Look at the mounts on the store directory, and at its layers; *tasks* are the paths that are signed.

    Never raises for what lies on the disk.
    """
    store = os.path.realpath(location.store)
    way = way_to(store, mounts)
    found = StoreLayers(tuple(_foreign(store, way)), _declared(location, current))
    if not way:
        return replace(found, unknown=("which mount the store directory lies on",))
    if way[-1].kind != "overlay":
        return found
    made_of = layers(way[-1])
    inside = f"{way[-1].root.rstrip('/')}/{store[len(way[-1].point.rstrip('/')) :].lstrip('/')}"
    wanted = {base_name(task.path): task for task in tasks}
    seen = _look_into(location, found, made_of, inside, wanted)
    return replace(seen, unknown=(*seen.unknown, *unseen(way[-1]))) if made_of.upper is not None else seen


def _foreign(store: str, way: list[Mount]) -> Iterable[Mount]:
    """Return the mounts on the store directory, but for that directory bound over itself, as NixOS does (read-only)."""
    for under, mount in zip([None, *way], way, strict=False):
        if mount.point != store:
            continue
        itself = under is not None and (mount.device, mount.root.rstrip("/")) == (under.device, _root_of(store, under))
        if not itself:
            yield mount


def _root_of(path: str, mount: Mount) -> str:
    """Return what of its file system *mount* shows at *path*."""
    return f"{mount.root.rstrip('/')}/{path[len(mount.point.rstrip('/')) :].lstrip('/')}".rstrip("/")


def _look_into(
    location: StoreLocation, found: StoreLayers, made_of: Layers, inside: str, wanted: dict[str, PathTask]
) -> StoreLayers:
    if made_of.upper is None:
        return found  # nothing was ever written
    upper = reach(made_of.upper, inside)
    if upper is None:
        return replace(found, unknown=(f"the upper layer of the store, {made_of.upper}: not there",))
    lower = [reach(directory, inside) for directory in made_of.lower]
    try:
        entries = _entries(location, upper, wanted.keys())
    except FileNotFoundError:
        return found  # nothing was ever written here
    except OSError as error:
        return replace(found, unknown=(f"the upper layer of the store, {made_of.upper}: {error.strerror}",))
    known = [directory for directory in lower if directory is not None]
    below: dict[str, PathObservation] = {}
    seen = []
    for entry in entries:
        name = base_name(entry.path)
        where = next((one for one in known if os.path.lexists(one / name)), None)
        if where is not None and entry.mark != "whiteout":
            # Its metadata are those of the merged view, unless it was copied up; then that is the finding.
            below[entry.path] = look(
                replace(wanted[name], physical=str(where / name), owner=None, ca=None, candidates=None)
            )
        is_below = where is not None or (None if len(known) < len(lower) or not lower else False)
        seen.append(replace(entry, below=is_below))
    lost = [directory for directory, there in zip(made_of.lower, lower, strict=True) if there is None]
    unknown = [f"the lower layer of the store, {lost[0]}: not there"] if lost and seen else []
    return replace(found, upper=tuple(seen), below=below, unknown=tuple(unknown))


def _entries(location: StoreLocation, upper: Path, wanted: Collection[str]) -> list[UpperEntry]:
    """Return the entries of the upper layer that are called like one of the *wanted* paths. Raises OSError."""
    fd = os.open(upper, OPEN_DIRECTORY)
    try:
        with os.scandir(fd) as listing:
            names = sorted(entry.name for entry in listing if entry.name in wanted)
        return [entry_of(fd, name, f"{location.store_dir}/{name}") for name in names]
    finally:
        os.close(fd)


def _declared(location: StoreLocation, current: str | None) -> str | None:
    """Return the file system that the fstab of the running system *current* mounts on the store directory."""
    if current is None:
        return None
    path = store_path_behind(location, f"{current}/etc/fstab")
    if path is None:
        return None
    for file in (path, f"{path}/etc/fstab", f"{path}/fstab"):
        try:
            with open_regular(location.physical(file)) as opened:
                text = opened.read(_MAX_FSTAB)
        except OSError:
            continue
        lines = [line.split() for line in text.decode(errors="surrogateescape").splitlines()]
        kinds = [words[2] for words in lines if len(words) >= _FIELDS and words[1] == location.store_dir]
        return kinds[-1] if kinds else None
    return None
