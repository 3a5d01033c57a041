"""What one rebuild may take in all, and how it stands with that."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from ec_verify.ghost.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_verify.ghost.limits import Spent
    from ec_verify.ghost.session import Ghost


class Budget:
    """*seconds* of *clock* from now on, and *disk* bytes of scratch in one ghost; 0 for any.

    *spent* says what of it was spent, or what the machine has no more of.
    """

    def __init__(self, seconds: int, disk: int, clock: Callable[[], float]) -> None:
        self.spent: Spent = ""
        self._seconds = seconds
        self._disk = disk
        self._clock = clock
        self._deadline = clock() + seconds
        self._rounds: list[float] = []

    @property
    def bounded(self) -> bool:
        """Tell whether there is any limit."""
        return bool(self._seconds or self._disk)

    @property
    def words(self) -> str:
        """What was spent, in words; empty for nothing."""
        match self.spent:
            case "time":
                return f"the budget of {self._seconds} seconds was spent"
            case "disk":
                return f"the budget of disk, {self._disk >> 20} MiB, was spent"
            case "full":
                return "scratch had no room left"
            case "memory":
                return "the budget of memory was spent"
            case "":
                return ""

    def allows_a_round(self) -> bool:
        """Tell whether another round may begin, as far as time goes; it begins now."""
        if self._seconds and not self.spent:
            self._rounds.append(self._clock())
            if self._rounds[-1] >= self._deadline:
                self.spent = "time"
        return not self.spent

    def limits(self, ghost: Ghost) -> Limits:
        """Return what an invocation in *ghost* may take now."""
        seconds = max(0.1, self._deadline - self._clock()) if self._seconds else 0
        return Limits(seconds, room=ghost.room(self._disk))

    def needed(self) -> int:
        """Return about how many seconds a run like this one needs to get further: another round, as short as any was.

        A round that was ended says nothing about how long it takes.
        """
        lengths = (after - before for before, after in pairwise(self._rounds))
        return self._seconds + max(1, math.ceil(min(lengths, default=1)))
