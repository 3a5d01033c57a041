"""Giving way to what the machine is there for."""

from __future__ import annotations

import subprocess
import sys

from ec_verify import priority

_SHOW = (
    "import os, subprocess, sys; from ec_verify import priority; {}priority.lower(); priority.lower(); "
    "sys.stdout.write(f'{{os.nice(0)}} '); sys.stdout.flush(); subprocess.run(['ionice'], check=True)"
)


def shown(before: str = "") -> str:
    """Return the priorities of a process that gave way, and of its child, for processors and devices."""
    command = [sys.executable, "-c", _SHOW.format(before)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_what_gives_way_is_nice_to_processors_and_devices() -> None:
    """Also what it starts, and not twice as nice the second time."""
    assert f"{max(priority.NICE, priority.current())} best-effort: prio 7" == shown()


def test_who_is_nicer_already_stays_so() -> None:
    """Nobody is made less nice by it."""
    assert shown("os.setpriority(os.PRIO_PROCESS, 0, 15); ").startswith(f"{max(15, priority.current())} ")
