"""How long one download may take: a total deadline, and a minimum speed over a window.

Answers slow retrieval: a server that sends a byte now and then keeps a node busy for ever, and
never trips a time-out that is measured between two bytes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tuf.api.exceptions import SlowRetrievalError

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 15.0
"""Seconds over which the speed is measured."""


class Budget:
    """The time that one download has left. *deadline* in seconds, *min_speed* in bytes per second.

    The clock is injected so that tests pass time without waiting.
    """

    def __init__(
        self, deadline: float, min_speed: int, *, clock: Callable[[], float] = time.monotonic, window: float = WINDOW
    ) -> None:
        self._clock = clock
        self._end = clock() + deadline
        self._deadline = deadline
        self._min_speed = min_speed
        self._window = window
        self._since = clock()
        self._bytes = 0

    def remaining(self) -> float:
        """Return the seconds left. Raises tuf's `SlowRetrievalError` when there are none."""
        left = self._end - self._clock()
        if left <= 0:
            raise SlowRetrievalError(f"not finished within {self._deadline:g} seconds")
        return left

    def begin(self) -> None:
        """Start measuring the speed anew: a new attempt or answer begins."""
        self._since = self._clock()
        self._bytes = 0

    def received(self, count: int) -> None:
        """Take note of *count* bytes. Raises tuf's `SlowRetrievalError` when too few came in the last window."""
        self.remaining()
        self._bytes += count
        elapsed = self._clock() - self._since
        if elapsed >= self._window:
            if self._bytes < self._min_speed * elapsed:
                speed = self._bytes / elapsed
                raise SlowRetrievalError(f"{speed:.0f} bytes per second where {self._min_speed} are the minimum")
            self.begin()
