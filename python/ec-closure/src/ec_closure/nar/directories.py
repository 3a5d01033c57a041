"""A way down a directory tree, held as open directories, of which only the deepest few stay open.

Everything is reached by one name below an open directory, never by a path that someone could bend in the meantime
(pitfall P49). A tree 5,000 deep must not take 5,000 file descriptors, so the upper directories are closed and, on the
way back, opened again through ``..`` and recognised by their device and inode.
"""

from __future__ import annotations

import os
from typing import Final

OPEN_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
KEEP_OPEN: Final = 64
"""How many directories stay open at once."""


class DirectoryStack:
    """Open directories from some root down to the current one. Close it when done."""

    def __init__(self) -> None:
        self._fds: list[int] = []
        self._identities: list[tuple[int, int]] = []
        self._closed = 0

    def __len__(self) -> int:
        return len(self._fds)

    @property
    def fd(self) -> int:
        """The current directory."""
        return self._fds[-1]

    def push(self, fd: int, stat: os.stat_result) -> None:
        """Go down into *fd*, whose owner this now is."""
        self._fds.append(fd)
        self._identities.append((stat.st_dev, stat.st_ino))
        if len(self._fds) - self._closed > KEEP_OPEN:
            os.close(self._fds[self._closed])
            self._fds[self._closed] = -1
            self._closed += 1

    def pop(self) -> bool:
        """Go back up; whether the way up still leads to where we came from. Raises `OSError`."""
        fd = self._fds[-1]
        intact = len(self._fds) == 1 or self._fds[-2] >= 0 or self._reopen(fd)
        self._fds.pop()
        self._identities.pop()
        os.close(fd)
        return intact

    def _reopen(self, below: int) -> bool:
        parent = os.open("..", OPEN_DIRECTORY, dir_fd=below)
        self._fds[-2] = parent
        self._closed -= 1
        stat = os.fstat(parent)
        return (stat.st_dev, stat.st_ino) == self._identities[-2]

    def close(self) -> None:
        """Close whatever is open."""
        for fd in self._fds[self._closed :]:
            os.close(fd)
        self._fds.clear()
        self._closed = 0
