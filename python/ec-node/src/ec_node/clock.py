"""Time and chance, as arguments. Spans are measured by a clock that nobody sets; dates come from one that is."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Clock:
    """*monotonic* in seconds, for spans; *wall* in seconds since 1970, for people; *chance* from 0 to 1."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    chance: Callable[[], float] = field(default_factory=lambda: random.SystemRandom().random)
