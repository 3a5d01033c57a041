"""The layers of an overlay file system, and what its upper layer says by marks that only overlayfs reads.

Source: the kernel's Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ec_verify.observe.rights import lacking

if TYPE_CHECKING:
    from ec_verify.observe.mounts import Mount

Mark = Literal["whiteout", "opaque", "redirect", "metacopy"]
"""`whiteout`: what lies below is deleted. `opaque`: a directory that hides the one below. `redirect`: it shows another
directory of the layers below. `metacopy`: only its metadata are its own."""

_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_COLON = re.compile(r"(?<!\\)((?:\\\\)*):")
# NixOS mounts its overlays in the initrd, below the directory that becomes the root: the kernel keeps those names.
_BEFORE_ROOT = ("/sysroot", "/mnt-root")
_PREFIXES = ("trusted.overlay.", "user.overlay.")
_MARKS: tuple[tuple[str, Mark], ...] = (
    ("whiteout", "whiteout"),
    ("opaque", "opaque"),
    ("redirect", "redirect"),
    ("metacopy", "metacopy"),
)


@dataclass(frozen=True, slots=True)
class Layers:
    """The directories of one overlay, as the options name them. *lower* top first; *upper* None for a read-only one."""

    upper: str | None
    lower: tuple[str, ...]


def layers(mount: Mount) -> Layers:
    """Return the layers of an overlay *mount*; layers that hold data only are left out."""
    upper = None
    lower: list[str] = []
    for option in mount.settings:
        name, _, value = option.partition("=")
        if name == "upperdir":
            upper = _plain(value)
        elif name == "lowerdir+":
            lower.append(value)  # each is one name as it is
        elif name == "lowerdir":
            lower += [_plain(one) for one in takewhile(bool, _split(value))]  # two colons end those with names
    return Layers(upper, tuple(lower))


def reach(directory: str, inside: str) -> Path | None:
    """Return where *inside* of the layer *directory* can be read from here, None when the layer is not there.

    The name is that of the namespace and the moment in which the overlay was mounted: relative ones, and those of
    another root, lead nowhere. Not checked: that what lies there now is what the kernel has as its layer, for somebody
    may have mounted over it.
    """
    if not directory.startswith("/"):
        return None
    shortened = [directory.removeprefix(root) for root in _BEFORE_ROOT if directory.startswith(f"{root}/")]
    for candidate in (directory, *shortened):
        if Path(candidate).is_dir():
            return Path(candidate) / inside.lstrip("/")
    return None


def unseen(mount: Mount) -> tuple[str, ...]:
    """Return what is not seen of the marks in the upper layer of *mount*: the kernel shows its own kind to few."""
    gap = lacking("CAP_SYS_ADMIN") if "userxattr" not in mount.settings else ""
    return (f"marks in the upper layer of {mount.point} other than whiteouts{gap}",) if gap else ()


def mark_of(name: str, parent: int, status: os.stat_result) -> Mark | None:
    """Return which mark the entry *name* of the open directory *parent* in an upper layer carries.

    Raises OSError. Reading the marks of the kernel's own kind (`trusted.`) takes CAP_SYS_ADMIN: see `unseen`.
    """
    if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
        return "whiteout"
    if stat.S_ISLNK(status.st_mode):
        return None
    try:
        names = set(os.listxattr(f"/proc/self/fd/{parent}/{name}", follow_symlinks=False))
    except OSError:
        if not os.path.lexists(f"/proc/self/fd/{parent}/{name}"):
            raise
        return None  # the file system has no such thing
    for mark, kind in _MARKS:
        if any(prefix + mark in names for prefix in _PREFIXES):
            return kind
    return None


def _split(value: str) -> list[str]:
    """Split at colons that no backslash stands before."""
    return _COLON.sub("\\1\0", value).split("\0")


def _plain(value: str) -> str:
    return _ESCAPED.sub(r"\1", value)
