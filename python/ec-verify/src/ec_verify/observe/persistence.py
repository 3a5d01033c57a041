"""Whether what is written somewhere is still there after a reboot."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.errors import EcError
from ec_verify.observe import mounts
from ec_verify.observe.overlay import layers, reach

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.observe.mounts import Mount

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@dataclass(frozen=True)
class Persistence:
    """*volatile* is the file system in memory in words, None for one that is kept; *unknown* why neither is known."""

    volatile: str | None = None
    unknown: str | None = None


def observe(path: Path) -> Persistence:
    """Look where *path* lies, or its nearest parent that exists. Never raises for what lies there.

    Not seen: a disk that somebody empties at each boot, or a virtual machine whose disk is thrown away.
    """
    try:
        return judge(path, mounts.observe())
    except EcError as error:
        return Persistence(unknown=str(error))


def judge(path: Path, known: list[Mount]) -> Persistence:
    """Return what *known* mounts say of *path*."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    way = mounts.way_to(os.path.realpath(path), known)
    if not way:
        return Persistence(unknown=f"which mount {path} lies on")
    mount = way[-1]
    if mount.kind in _IN_MEMORY:
        return Persistence(volatile=mount.kind)
    if mount.kind != "overlay":
        return Persistence()
    # An overlay is as lasting as its upper layer, which never lies on an overlay itself.
    upper = layers(mount).upper
    if upper is None:
        return Persistence()
    there = reach(upper, "/")
    below = mounts.way_to(os.path.realpath(there), known) if there is not None else []
    if not below:
        return Persistence(unknown=f"the upper layer of the overlay it lies on, {upper}, is not there")
    if below[-1].kind in _IN_MEMORY:
        return Persistence(volatile=f"an overlay whose upper layer is a {below[-1].kind}")
    return Persistence()
