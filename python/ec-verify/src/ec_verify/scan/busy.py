"""Who is at work in the store directory: Nix locks what it makes, and the collector holds a lock of its own.

A path is in the directory before it has a row, and after it lost it (pitfall P45). So an entry without a row is only
judged when nobody works on it. A lock is no excuse either: whoever can hold one can hide behind it, so that what is
locked is never called good.
"""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ec_closure.store_path import StorePath, StorePathError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True)
class Patience:
    """How long to wait for others, in seconds; the clocks and the pause are for tests to replace.

    *seconds* for what is locked or keeps changing, *quiet* for a new entry that nobody locks. An entry is new when its
    inode was changed within the last *recent* seconds.
    """

    seconds: float = 5.0
    quiet: float = 1.0
    interval: float = 0.2
    recent: float = 60.0
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    pause: Callable[[float], None] = time.sleep


def working_on(store: Path, state: Path, name: str, patience: Patience) -> Literal["held", "new", "nobody", "gone"]:
    """Tell whether somebody works on the entry *name* of the directory *store*, which has no row.

    `held`: its lock is taken, or it is new while the collector works. `new`: it may just have got or lost its row.
    `gone`: it is not there any more. Nix makes and removes store paths only, so all else is nobody's.
    """
    try:
        status = (store / name).lstat()
    except FileNotFoundError:
        return "gone"
    try:
        StorePath.parse_base(name)
    except StorePathError:
        return "nobody"
    if _locked(store / f"{name}.lock", unknown=True):
        return "held"
    # A clock that was set back makes a change lie in the future: that is new as well.
    if status.st_ctime < patience.now() - patience.recent:
        return "nobody"
    return "held" if _locked(state / "gc.lock", unknown=False) else "new"


def _locked(file: Path, *, unknown: bool) -> bool:
    """Tell whether somebody else has the lock for writing; *unknown* is the answer where we may not ask."""
    try:
        fd = os.open(file, _OPEN_FILE)
    except PermissionError:
        return unknown
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
