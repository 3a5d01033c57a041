"""What was written since boot on a machine whose root is an overlay: a read-only image below, a tmpfs above.

What lies in the store is not listed here: see `ec_verify.observe.layers`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from ec_closure.files import open_regular
from ec_closure.policy import matches
from ec_verify.observe.mounts import Mount, way_to
from ec_verify.observe.overlay import layers, reach, unseen
from ec_verify.observe.running import store_path_behind
from ec_verify.observe.upper import UpperEntry, UpperLayer, walk

if TYPE_CHECKING:
    from ec_verify.location import StoreLocation

INNOCENT = (
    *("/var/*", "/tmp/*", "/run/*", "/root/*", "/home/*", "/srv/*", "/dev/*", "/proc/*", "/sys/*"),  # noqa: S108
    *("/mnt/*", "/media/*", "/nix/var/*", "/nix/.ro-store/*", "/nix/.rw-store/*"),
)
"""Places that exist to be written to, as shell patterns. Nothing below them is looked at."""
_STATIC = "/etc/static"
_MAX_COMPARED = 1 << 20


def observe(location: StoreLocation, mounts: list[Mount]) -> UpperLayer:
    """List the upper layer of the examined root, empty where that is no overlay. Never raises for what lies there."""
    root = os.path.realpath(location.root)
    way = way_to(root, mounts)
    if not way:
        return UpperLayer(unknown=("which mount the root is",))
    if way[-1].kind != "overlay" or way[-1].point != root:
        return UpperLayer()
    directory = layers(way[-1]).upper
    if directory is None:
        return UpperLayer()
    upper = reach(directory, way[-1].root)
    if upper is None:
        return UpperLayer(unknown=(f"the upper layer of the root, {directory}: not there",))
    skipped = (location.store_dir, *INNOCENT)
    try:
        found = walk(upper, skip=lambda path: matches(path, skipped))
    except OSError as error:
        return UpperLayer(unknown=(f"the upper layer of the root, {directory}: {error.strerror}",))
    return replace(
        found,
        entries=tuple(_compared(location, entry) for entry in found.entries),
        unknown=(*found.unknown, *unseen(way[-1])),
    )


def _compared(location: StoreLocation, entry: UpperEntry) -> UpperEntry:
    """Say of a file in /etc which store path it was copied from: NixOS copies what needs a mode of its own."""
    if entry.kind != "file" or not entry.path.startswith("/etc/"):
        return entry
    place = f"{_STATIC}{entry.path.removeprefix('/etc')}"
    origin = store_path_behind(location, place)
    static = store_path_behind(location, _STATIC)
    if origin is None or static is None:
        return entry
    # Either the store path is the file, or it is the tree of /etc with the file in it.
    file = origin if origin != static else f"{static}/etc{entry.path.removeprefix('/etc')}"
    there, here = _read(location, file), _read(location, entry.path)
    return replace(entry, copy_of=origin) if there is not None and there == here else entry


def _read(location: StoreLocation, path: str) -> bytes | None:
    try:
        with open_regular(location.physical(path)) as file:
            data = file.read(_MAX_COMPARED + 1)
    except OSError:
        return None
    return data if len(data) <= _MAX_COMPARED else None
