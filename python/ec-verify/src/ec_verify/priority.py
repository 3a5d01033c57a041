"""Giving way: a verification must not cost what the machine is there for a single frame."""

from __future__ import annotations

import ctypes
import os
import platform

NICE = 10
# ioprio_set(2): the numbers of the system call, and class "best effort" at its lowest level. Not "idle": behind a
# broadcast that reads all day, a run would never end.
_SYSCALL = {"x86_64": 251, "aarch64": 30}
_BEST_EFFORT_LAST = 2 << 13 | 7


def lower() -> None:
    """Give way to everything else, in this thread and in all that it starts: for good, as the system has it.

    Without a word where the kernel refuses, or the machine's number of the system call is not known: see `current`.
    """
    if current() < NICE:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    number = _SYSCALL.get(platform.machine())
    if number is not None:
        this_thread = (ctypes.c_int(1), ctypes.c_int(0))
        ctypes.CDLL(None).syscall(ctypes.c_long(number), *this_thread, ctypes.c_int(_BEST_EFFORT_LAST))


def current() -> int:
    """Return how nice this thread is, -20 to 19."""
    return os.getpriority(os.PRIO_PROCESS, 0)
