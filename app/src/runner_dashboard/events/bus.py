"""The bus: a ring of the newest events in memory, and everybody who waits for the next one.

Subscribers hold a number and no queue, so that a slow one costs nothing: one that falls behind the ring is told so.
Numbers begin at the microsecond of the start, so that they grow over restarts, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self

from runner_dashboard.events.event import Event, Happening

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

KEPT = 4096


class Bus:
    """Events of this process. Safe to use from every thread. *first* is the number before the first event."""

    def __init__(self, first: int | None = None) -> None:
        self._lock = threading.Lock()
        self._ring: deque[Event] = deque(maxlen=KEPT)
        self._newest = time.time_ns() // 1000 if first is None else first
        # What came before the oldest event in the ring is not known any more.
        self._floor = self._newest
        self._watching: set[Subscription] = set()
        self._closed = False

    @property
    def newest(self) -> int:
        """The number of the newest event."""
        return self._newest

    @property
    def watching(self) -> int:
        """How many subscriptions there are."""
        return len(self._watching)

    def publish(self, happenings: Iterable[Happening]) -> None:
        """Give numbers to what happened, and tell everybody."""
        with self._lock:
            start = self._newest + 1
            self._add([Event(start + at, one.kind, one.node, one.at) for at, one in enumerate(happenings)])

    def before_commit(self, connection: Connection, happenings: list[Happening]) -> None:
        """Do nothing: nobody is told of what may still be undone."""

    def after_commit(self, happenings: list[Happening]) -> None:
        """Tell everybody."""
        self.publish(happenings)

    def take(self, events: Iterable[Event]) -> None:
        """Tell everybody of *events* that were numbered elsewhere; those that are known are passed over."""
        with self._lock:
            self._add([one for one in events if one.id > self._newest])

    def begin_at(self, number: int) -> None:
        """Forget what is known: the next event that counts is the one after *number*. Whoever is behind is told so."""
        with self._lock:
            self._ring.clear()
            self._newest = self._floor = number
            self._wake()

    def since(self, last: int) -> list[Event]:
        """Return the events after the one numbered *last*: one `reset` where some of them are kept no more."""
        with self._lock:
            if last == self._newest:
                return []
            if not self._floor <= last < self._newest:
                return [Event(self._newest, "reset", "", self._ring[-1].at if self._ring else 0)]
            return [one for one in self._ring if one.id > last]

    def subscribe(self, last: int | None = None) -> Subscription:
        """Return an asynchronous iterator over the events after *last*, or from now on. To be closed, as a context."""
        found = Subscription(self, self._newest if last is None else last)
        with self._lock:
            self._watching.add(found)
        return found

    def forget(self, subscription: Subscription) -> None:
        """Tell *subscription* of nothing any more."""
        with self._lock:
            self._watching.discard(subscription)

    @property
    def closed(self) -> bool:
        """Whether there are no more events to come."""
        return self._closed

    def close(self) -> None:
        """End every subscription: the dashboard stops."""
        with self._lock:
            self._closed = True
            self._wake()

    def _add(self, events: list[Event]) -> None:
        if not events:
            return
        self._ring.extend(events)
        self._newest = events[-1].id
        if len(self._ring) == KEPT:
            self._floor = self._ring[0].id - 1
        self._wake()

    def _wake(self) -> None:
        for one in self._watching:
            one.wake()


class Subscription:
    """Events after the one numbered *last*, as they come: `async for`. Made and used in one event loop."""

    def __init__(self, bus: Bus, last: int) -> None:
        self._bus = bus
        self._last = last
        self._ready: deque[Event] = deque()
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        # One call into the loop for many events, for as long as nobody has looked.
        self._called = False

    def wake(self) -> None:
        """Let whoever waits look again. Called under the lock of the bus, from any thread."""
        if not self._called:
            self._called = True
            # A loop that was closed waits for nothing.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._woken.set)

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Event:
        """Return the next event, once there is one. Ends when the bus is closed."""
        while not self._ready:
            self._woken.clear()
            self._called = False
            self._ready.extend(self._bus.since(self._last))
            if self._ready:
                self._last = self._ready[-1].id
            elif self._bus.closed:
                raise StopAsyncIteration
            else:
                await self._woken.wait()
        return self._ready.popleft()

    def close(self) -> None:
        """End it."""
        self._bus.forget(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
