"""Archiving what another origin publishes: its playlist is followed, as a player would."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from ec_node.archive.cas import MAX_OBJECT
from ec_node.errors import ArchiveError, MediaError, PushError
from ec_node.media.playlist import MAX_PLAYLIST, Entry, MediaPlaylist, parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Protocol

    from ec_node.archive.recorder import Archive
    from ec_node.clock import Clock

    class Source(Protocol):
        """Where a playlist and its segments are fetched."""

        async def get(self, address: str, limit: int) -> bytes:
            """Return what is at an address."""


log = structlog.get_logger()

_MAX_HEAD = 1 << 20


class Follower:
    """Archives what the playlist *address* at *source* lists. *pause* waits for so many seconds."""

    def __init__(
        self,
        source: Source,
        address: str,
        archive: Archive,
        clock: Clock,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._address = address
        self._archive = archive
        self._clock = clock
        self._pause = pause
        self._next: int | None = None
        self._head = ""
        self._broken = True
        self._time = 0.0
        self.kept = 0

    async def run(self, *, give_up: int = 0) -> None:
        """Work until the playlist says that nothing follows. After *give_up* failures in a row (0: never) it ends.

        Raises `PushError`, `MediaError` or `ArchiveError` then.
        """
        failures = 0
        while True:
            seconds = 1.0
            try:
                found = parse((await self._source.get(self._address, MAX_PLAYLIST)).decode(errors="replace"))
                await self._take(found)
                seconds = found.target / 2
                failures = 0
                if found.ended:
                    return
            except (PushError, MediaError, ArchiveError) as error:
                failures += 1
                self._broken = True
                if failures == give_up:
                    raise
                if failures == 1:
                    log.warning("what is published is not archived now", reason=str(error))
            await self._pause(max(0.5, seconds))

    async def _take(self, found: MediaPlaylist) -> None:
        for number, entry in enumerate(found.entries, found.sequence):
            if self._next is not None and number < self._next:
                continue
            if self._next is not None and number > self._next:
                self._broken = True
            if not entry.head:
                raise MediaError("segments without an initialisation are not archived")
            left = sum(one.duration for one in found.entries[number - found.sequence :])
            await self._keep(entry, left / 1000)
            self._next = number + 1

    async def _keep(self, entry: Entry, left: float) -> None:
        """Fetch and archive *entry*, with which the last *left* seconds of the playlist begin."""
        if entry.head != self._head:
            head = await self._source.get(entry.head, _MAX_HEAD)
            await asyncio.to_thread(self._archive.begin, head)
            self._head, self._broken = entry.head, True
        data = await self._source.get(entry.uri, MAX_OBJECT)
        broken = self._broken or entry.discontinuity
        if entry.time is not None:
            self._time = entry.time
        elif broken:
            self._time = max(self._time, self._clock.wall() - left)
        await asyncio.to_thread(self._archive.add, data, time=self._time, duration=entry.duration, broken=broken)
        self._time += entry.duration / 1000
        self._broken = False
        self.kept += 1
