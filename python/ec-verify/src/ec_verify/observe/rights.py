"""Which of root's powers this process has: services run with few, and say what they did not see."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

Capability = Literal["CAP_SYS_PTRACE", "CAP_SYS_ADMIN", "CAP_CHECKPOINT_RESTORE"]

# linux/capability.h
_BITS: dict[Capability, int] = {"CAP_SYS_PTRACE": 19, "CAP_SYS_ADMIN": 21, "CAP_CHECKPOINT_RESTORE": 40}
_STATUS = Path("/proc/self/status")
_UID_MAP = Path("/proc/self/uid_map")
_EFFECTIVE = re.compile(r"^CapEff:\s*([0-9a-f]{1,16})$", re.MULTILINE)
_EVERYBODY = ["0", "0", "4294967295"]


def has(capability: Capability) -> bool:
    """Tell whether this process has *capability* over the machine; in a user namespace nobody has, whatever it says.

    True where the kernel does not tell: then what fails says so itself.
    """
    try:
        found = _EFFECTIVE.search(_STATUS.read_text(errors="replace"))
        first = _UID_MAP.read_text().split() == _EVERYBODY
    except OSError:
        return True
    return found is None or (first and bool(int(found[1], 16) >> _BITS[capability] & 1))


def lacking(capability: Capability) -> str:
    """Return what to say behind a message about something that takes *capability*, empty where we have it."""
    return "" if has(capability) else f" ({capability} is missing)"
