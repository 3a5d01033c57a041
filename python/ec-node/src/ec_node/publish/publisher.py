"""What every way to publish has in common.

A publisher is told of each head and segment, in order, by a caller that does not wait: what takes time is done in a
task of its own, behind a bounded queue. That is the seam for others, such as a relay of Media over QUIC: a head is its
initialisation, a segment a group, and `broken` says that a group is missing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ec_node.media.segmenter import Head, Segment

if TYPE_CHECKING:
    from collections.abc import Callable


class Publisher(Protocol):
    """Takes a broadcast, and never holds it up."""

    def begin(self, head: Head) -> None:
        """Go on with another head: time stamps begin anew."""

    def add(self, segment: Segment, time: float) -> None:
        """Take the next segment, whose first picture was on air at *time*."""

    def end(self) -> None:
        """Take note that nothing follows."""

    async def run(self) -> None:
        """Work until cancelled."""

    async def drain(self) -> None:
        """Return when what was taken has been dealt with."""


@dataclass(frozen=True)
class Aired:
    """A segment on its way; *broken* says that one before it was dropped."""

    segment: Segment
    time: float
    broken: bool = False


@dataclass(frozen=True)
class Over:
    """Nothing follows."""


Item = Head | Aired | Over


class Outbox:
    """What waits for a slow publisher: at most *limit* segments. The oldest go first, and *dropped* is told."""

    def __init__(self, limit: int, dropped: Callable[[], None]) -> None:
        self._limit = limit
        self._dropped = dropped
        self._items: deque[Item] = deque()

    def __len__(self) -> int:
        """Return how many segments wait."""
        return sum(isinstance(item, Aired) for item in self._items)

    def put(self, item: Item) -> None:
        """Append *item*."""
        self._items.append(item)
        while len(self) > self._limit:
            self._drop_oldest()

    def get(self) -> Item | None:
        """Return the oldest item, None when nothing waits."""
        return self._items.popleft() if self._items else None

    def _drop_oldest(self) -> None:
        kept: deque[Item] = deque()
        while not isinstance(item := self._items.popleft(), Aired):
            # Of heads that follow one another without a segment, the last one counts.
            kept = deque([item])
        self._dropped()
        for at, following in enumerate(self._items):
            if isinstance(following, Aired):
                self._items[at] = Aired(following.segment, following.time, broken=True)
                break
            if isinstance(following, Head):
                # It begins anew in any case.
                break
        self._items.extendleft(kept)
