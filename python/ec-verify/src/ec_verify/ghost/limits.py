"""What one invocation of Nix may take, and the thread that ends it when it took that."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

Spent = Literal["", "time", "disk", "full", "memory"]
"""What was spent: the time, disk or memory that was granted, or (`full`) all that scratch has."""

_PAUSE = 2.0
# A walk over large scratch takes a while: this part of the time is for it at most.
_SHARE = 20
_LITTLE = 16 << 20
_FEW = 256
_PART = 50
_BLOCK = 512


@dataclass(frozen=True)
class Room:
    """The scratch *directory* of a ghost. It may hold *limit* bytes; 0 for what its file system has."""

    directory: Path
    limit: int = 0

    def spent(self) -> Spent:
        """Tell whether the limit is passed, or next to nothing is left on the file system. Empty for neither."""
        try:
            status = os.statvfs(self.directory)
        except OSError:
            return ""  # the ghost is gone, and with it what was written
        total = status.f_blocks * status.f_frsize
        if status.f_bavail * status.f_frsize < min(_LITTLE, total // _PART):
            return "full"
        # Some file systems do not count inodes.
        if status.f_files and status.f_ffree < min(_FEW, status.f_files // _PART):
            return "full"
        return "disk" if self.limit and usage(self.directory) > self.limit else ""


def usage(directory: Path) -> int:
    """Return the bytes that a tree takes, a file with several names once. What goes away meanwhile is not counted."""
    found = 0
    seen: set[tuple[int, int]] = set()
    waiting = [os.fspath(directory)]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                except OSError:
                    continue
                if status.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                    if (status.st_dev, status.st_ino) in seen:
                        continue
                    seen.add((status.st_dev, status.st_ino))
                found += status.st_blocks * _BLOCK
    return found


@dataclass(frozen=True)
class Limits:
    """What one invocation may take.

    *seconds* in all; *memory* in bytes of what is collected as garbage; *room* is where it writes. 0 and None for any.
    """

    seconds: float = 0
    memory: int = 0
    room: Room | None = None


class Guard:
    """Ends the process group *group* when it took what *limits* grant; a context manager.

    The whole group: its first process is the one that enters the namespace, and Nix is its child. By force: an
    evaluation looks for signals too rarely, some never do. *spent* says why, empty when it ended by itself.
    """

    def __init__(self, group: int, limits: Limits | None) -> None:
        self.spent: Spent = ""
        self._group = group
        self._limits = limits or Limits()
        self._ended = threading.Event()
        watched = self._limits.seconds or self._limits.room is not None
        self._thread = threading.Thread(target=self._watch, daemon=True) if watched else None

    def _watch(self) -> None:
        seconds, room = self._limits.seconds, self._limits.room
        end = time.monotonic() + seconds if seconds else math.inf
        pause = _PAUSE if room is not None else math.inf
        while True:
            began = time.monotonic()
            if began >= end:
                return self._stop("time")
            if room is not None:
                if spent := room.spent():
                    return self._stop(spent)
                pause = max(_PAUSE, _SHARE * (time.monotonic() - began))
            if self._ended.wait(max(0.0, min(end - time.monotonic(), pause))):
                return None

    def _stop(self, spent: Spent) -> None:
        self.spent = spent
        with contextlib.suppress(ProcessLookupError):  # it ended by itself just now
            os.killpg(self._group, signal.SIGKILL)

    def __enter__(self) -> Self:
        if self._thread is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
