"""Looking at the metadata of a tree's entries in the same pass that hashes their bytes.

A NAR holds no mode beyond the owner's execute bit, no owner, time, extended attribute or ACL, so Nix verifies none of
them. A caller that wants to gives `ec_closure.nar.dump.dump` an `Inspector`: no second walk, and no gap between what
was hashed and what was inspected, because the inspector sees the very descriptor that is read.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

Inspector: TypeAlias = Callable[[bytes, os.stat_result, int | None, tuple[int, bytes] | None], object]
"""``inspect(relative, stat, fd, link_parent)``, called once for every entry, directories before their entries.

- *relative*: path below the root, ``b""`` for the root itself.
- *stat*: of the entry itself, never of what a symlink points at.
- *fd*: open for reading on a file or directory; ``None`` for a symlink. Do not close, keep or move it.
- *link_parent*: ``None``, or for a symlink the open directory that holds it and its name there.

What it raises ends the dump; an `OSError` becomes a `TreeError` with the entry's place.
"""


def xattr_names(fd: int | None, link_parent: tuple[int, bytes] | None) -> list[str]:
    """Return the names of the entry's extended attributes, for any kind of entry. Raises `OSError`."""
    return os.listxattr(_handle(fd, link_parent), follow_symlinks=fd is not None)


def xattr_value(name: str, fd: int | None, link_parent: tuple[int, bytes] | None) -> bytes:
    """Return one extended attribute of the entry. Raises `OSError`."""
    return os.getxattr(_handle(fd, link_parent), name, follow_symlinks=fd is not None)


def _handle(fd: int | None, link_parent: tuple[int, bytes] | None) -> int | bytes:
    if fd is not None:
        return fd
    if link_parent is None:
        raise ValueError("an entry is either a descriptor or a name below one")
    # No system call takes a directory and a name here; the kernel's own path to the open directory does the same.
    return b"/proc/self/fd/%d/%b" % link_parent
