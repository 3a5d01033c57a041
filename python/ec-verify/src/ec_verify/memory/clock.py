"""Whether the clock only went forward: under a clock that was set back, change times can be made to repeat.

Not seen: a clock that was set back and forth again between two runs of one boot, or while the disk was in another
machine. That is why everything is read again in turns.
"""

from __future__ import annotations

import time

from ec_verify.memory.contents import Clock
from ec_verify.state import boot_id

_SLACK = 1_000_000_000
"""In ns: what synchronising a clock may set it back by. A change time within it is never believed anyway."""


def now() -> Clock:
    """Read the machine's clocks."""
    return Clock(time.time_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME), boot_id() or "")


def set_back(before: Clock, after: Clock) -> str | None:
    """Return how the clock went back between two readings, None when it is not seen to have. Pure."""
    if after.wall < before.wall - _SLACK:
        return f"it is {(before.wall - after.wall) // 10**9} seconds earlier than at the last run"
    if before.boot_id and before.boot_id == after.boot_id:
        slipped = (before.wall - before.since_boot) - (after.wall - after.since_boot)
        if slipped > _SLACK:
            return f"it was set back by {slipped // 10**9} seconds since the last run"
    return None
