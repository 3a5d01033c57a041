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
_ESCAPE = re.compile(rb"\\([0-3][0-7]{2})")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo. *point* is where, *kind* the file system, *source* the device, *root* what of it."""

    point: str
    kind: str
    source: str
    root: str
    options: str


def parse(mountinfo: bytes) -> list[Mount]:
    """Parse /proc/self/mountinfo (see proc_pid_mountinfo(5)); lines that do not follow it are passed over."""
    found = []
    # Not splitlines: the kernel escapes line feeds, but not carriage returns, and no name may break a line.
    for line in mountinfo.split(b"\n"):
        fields = line.split(b" ")
        # Only optional fields stand between the first six and the separator: a root called "-" is none.
        separator = fields.index(b"-", _FIXED) if b"-" in fields[_FIXED:] else len(fields)
        rest = fields[separator + 1 :]
        if len(rest) < 3:  # noqa: PLR2004 - the man page's columns
            continue
        found.append(
            Mount(
                point=_unescape(fields[4]),
                kind=_unescape(rest[0]),
                source=_unescape(rest[1]),
                root=_unescape(fields[3]),
                options=_unescape(rest[2]),
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
