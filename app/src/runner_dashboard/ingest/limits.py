"""What may be in flight, and how often a node may report."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from runner_dashboard.refusals import BusyError, SlowError, TooLargeError, TooManyError

if TYPE_CHECKING:
    from starlette.requests import Request

_MINUTE = 60
_DIGITS = 18


class Room:
    """How many bytes of bodies are held at one time, at most *size*. Used in the event loop alone."""

    def __init__(self, size: int) -> None:
        self._free = size

    def take(self, count: int) -> None:
        """Take room for *count* bytes. Raises `BusyError`."""
        if count > self._free:
            raise BusyError("too many reports arrive at one time", hint="try again in a moment")
        self._free -= count

    def give_back(self, count: int) -> None:
        """Free the room of *count* bytes."""
        self._free += count


class Body:
    """The body of one request: read under a limit, within a time, in the room that it gives back when it is closed."""

    def __init__(self, request: Request, *, limit: int, room: Room, deadline: float) -> None:
        self._request = request
        self._limit = limit
        self._room = room
        self._deadline = deadline
        self._held = 0

    async def read(self) -> bytes:
        """Return it. Raises `TooLargeError`, `SlowError` or `BusyError`.

        Where its length is announced, and too large, nothing is read.
        """
        announced = self._request.headers.get("content-length", "")
        if announced.isdecimal() and (len(announced) > _DIGITS or int(announced) > self._limit):
            raise self._too_large()
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._deadline):
                async for part in self._request.stream():
                    self._room.take(len(part))
                    self._held += len(part)
                    if self._held > self._limit:
                        raise self._too_large()
                    parts.append(part)
        except TimeoutError:
            raise SlowError(f"the body did not arrive within {self._deadline:g} seconds") from None
        except ClientDisconnect:
            raise SlowError("the body ended before it was whole") from None
        return b"".join(parts)

    def close(self) -> None:
        """Give the room back."""
        self._room.give_back(self._held)
        self._held = 0

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"more than the {self._limit} bytes that are accepted")


class Rates:
    """Reports per node: *per_minute* on average, and *burst* at once, for spools that are emptied after an outage."""

    def __init__(self, per_minute: int, burst: int) -> None:
        self._per_second = per_minute / _MINUTE
        self._burst = float(burst)
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, node: str, now: float) -> None:
        """Count one report of *node*. Raises `TooManyError`."""
        with self._lock:
            left, at = self._left.get(node, (self._burst, now))
            left = min(self._burst, left + max(now - at, 0) * self._per_second)
            if left < 1:
                raise TooManyError("this node reports too often", place=node, hint="ingest.reports_per_minute, burst")
            self._left[node] = (left - 1, now)
