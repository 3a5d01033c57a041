"""Mounts that lie over store paths: what processes read is then not what the store holds (pitfall P41)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.errors import LocalError

if TYPE_CHECKING:
    from ec_verify.location import StoreLocation

_MOUNTINFO = Path("/proc/self/mountinfo")
_FIXED = 6
_IMAGES = frozenset({"squashfs", "erofs", "iso9660", "overlay"})
_NUMBER = re.compile(rb"[0-9]{1,10}")
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo. *point* is where, *kind* the file system, *source* the device, *root* what of it.

    *settings* are the file system's options one by one, which `options` has in one text. *number* and *parent* are the
    kernel's ids of this mount and of the one that it is mounted on; *device* is `major:minor`.
    """

    point: str
    kind: str
    source: str
    root: str
    options: str
    settings: tuple[str, ...] = ()
    number: int = 0
    parent: int = 0
    device: str = ""


def parse(mountinfo: bytes) -> list[Mount]:
    """Parse /proc/self/mountinfo (see proc_pid_mountinfo(5)); lines that do not follow it are passed over."""
    found = []
    # Not splitlines: the kernel escapes line feeds, but not carriage returns, and no name may break a line.
    for line in mountinfo.split(b"\n"):
        fields = line.split(b" ")
        # Only optional fields stand between the first six and the separator: a root called "-" is none.
        separator = fields.index(b"-", _FIXED) if b"-" in fields[_FIXED:] else len(fields)
        rest = fields[separator + 1 :]
        if len(rest) < 3 or not all(map(_NUMBER.fullmatch, fields[:2])):  # noqa: PLR2004 - the man page's columns
            continue
        found.append(
            Mount(
                point=_unescape(fields[4]),
                kind=_unescape(rest[0]),
                source=_unescape(rest[1]),
                root=_unescape(fields[3]),
                options=_unescape(rest[2]),
                # Before escapes are undone: a comma in a name is escaped.
                settings=tuple(_unescape(option) for option in rest[2].split(b",")),
                number=int(fields[0]),
                parent=int(fields[1]),
                device=_unescape(fields[2]),
            )
        )
    return found


def over_store(location: StoreLocation, mounts: list[Mount]) -> list[Mount]:
    """Return the mounts below the store directory: each hides something. The one on it is the store itself.

    The kernel names mount points without symlinks on the way, so the store directory's own are resolved. The points
    returned are logical paths.
    """
    prefix = f"{os.path.realpath(location.store)}/"
    return [
        replace(mount, point=f"{location.store_dir}/{mount.point.removeprefix(prefix)}")
        for mount in mounts
        if mount.point.startswith(prefix)
    ]


def way_to(path: str, mounts: list[Mount]) -> list[Mount]:
    """Return the mounts that are crossed on the way to *path*, a real path; the last one is what is seen there.

    As the kernel walks: of several mounts on one point each lies on the one before, and what a mount further up
    hides is not crossed. Empty where the root itself is not among *mounts*.
    """
    on = {(mount.parent, mount.point): mount for mount in mounts if mount.number != mount.parent}
    numbers = {mount.number for mount in mounts}
    # Of the root's own mount the parent is not listed, or (in the first namespace) it is a root like it.
    start = next((one for one in mounts if one.point == "/" and one.parent not in numbers - {one.number}), None)
    if start is None:
        return []
    crossed = [start]
    point = ""
    for part in ["", *filter(None, path.split("/"))]:
        point = f"{point.rstrip('/')}/{part}"
        while (above := on.pop((crossed[-1].number, point), None)) is not None:
            crossed.append(above)
    return crossed


def is_image(location: StoreLocation, mounts: list[Mount]) -> bool:
    """Tell whether the store lies on an image that was made as a whole, or on an overlay over one.

    That is so on netboot and ISO systems (pitfall P41). The last mount on the store directory is what is seen there.
    """
    store = os.path.realpath(location.store)
    kinds = [mount.kind for mount in mounts if mount.point == store]
    return bool(kinds) and kinds[-1] in _IMAGES


def observe() -> list[Mount]:
    """Read the mounts that this process sees. Raises `LocalError` where the kernel does not tell."""
    try:
        return parse(_MOUNTINFO.read_bytes())
    except OSError as error:
        raise LocalError(f"no mounts: {error.strerror}", place=str(_MOUNTINFO), hint="is /proc mounted?") from error


def _unescape(field: bytes) -> str:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field).decode(errors="surrogateescape")
