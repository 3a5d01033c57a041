"""Files that claim far more bytes than they take on the disk: reading one of terabytes would never end.

What is signed has a signed size, and is read no further. Of anything else only its row says how large it is, and who
forges a row can claim what they like. So what is read of it is bounded by what lies on the disk.
"""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

from ec_closure.nar.errors import TreeError, TreeTooLargeError, printable

if TYPE_CHECKING:
    import os

    from ec_closure.nar.inspect import Inspector

SLACK = 1 << 30
"""Bytes of a tree that are read whatever they take on the disk."""
RATIO = 64
"""Beyond them, bytes for each byte that is allocated: file systems compress, and images of disks have holes."""
_BLOCK = 512


def bounded(inspect: Inspector | None, limit: int = sys.maxsize) -> Inspector:
    """Return *inspect* with a bound on what the files of one tree claim, whose archive should have *limit* bytes.

    Before the first file that is beyond the bound is read, it raises `TreeTooLargeError` when that is more than *limit*
    as well, else `TreeError`.
    """
    claimed = allocated = 0

    def check(relative: bytes, status: os.stat_result, fd: int | None, link: tuple[int, bytes] | None) -> None:
        nonlocal claimed, allocated
        if stat.S_ISREG(status.st_mode):
            claimed += status.st_size
            allocated += status.st_blocks * _BLOCK
            if claimed > SLACK + RATIO * allocated:
                kind = TreeTooLargeError if claimed > limit else TreeError
                raise kind(f"{claimed} bytes on {allocated} of disk are not read", place=printable(relative) or None)
        if inspect is not None:
            inspect(relative, status, fd, link)

    return check
