"""Publishing to another origin by HTTP PUT: head, segments, the playlist that lists them, and DELETE for what left.

The playlist there lists only what that origin took: one that is too slow misses segments, and its viewers see a
discontinuity, while everybody else sees nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from ec_node.errors import PushError
from ec_node.media.playlist import render, render_master
from ec_node.media.segmenter import Head
from ec_node.publish.publisher import Aired, Outbox, Over

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_node.client import Remote
    from ec_node.media.segmenter import Segment
    from ec_node.media.window import Window
    from ec_node.metrics import Metrics

log = structlog.get_logger()

PLAYLIST_TYPE = "application/vnd.apple.mpegurl"
SEGMENT_TYPE = "video/iso.segment"
HEAD_TYPE = "video/mp4"


class PushPublisher:
    """Sends a broadcast to *remote*. *queue* segments may wait; *bandwidth* tells the master playlist's."""

    def __init__(
        self, remote: Remote, window: Window, metrics: Metrics, *, queue: int, bandwidth: Callable[[Head], int]
    ) -> None:
        self._remote = remote
        self._window = window
        self._metrics = metrics
        self._bandwidth = bandwidth
        self._outbox = Outbox(queue, self._dropped)
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._broken = False
        self._failing = False
        self._head_is_there = False

    def begin(self, head: Head) -> None:
        """Go on with another head."""
        self._put(head)

    def add(self, segment: Segment, time: float) -> None:
        """Take the next segment."""
        self._put(Aired(segment, time))

    def end(self) -> None:
        """Say that nothing follows."""
        self._put(Over())

    async def run(self) -> None:
        """Send what waits, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while (item := self._outbox.get()) is not None:
                self._metrics.gauge("push_queue", len(self._outbox))
                await self._send(item)
            self._idle.set()

    async def drain(self) -> None:
        """Return when nothing waits any more."""
        await self._idle.wait()

    def _put(self, item: Head | Aired | Over) -> None:
        self._outbox.put(item)
        self._metrics.gauge("push_queue", len(self._outbox))
        self._idle.clear()
        self._arrived.set()

    def _dropped(self) -> None:
        self._metrics.count("push_dropped")

    async def _send(self, item: Head | Aired | Over) -> None:
        try:
            await self._deliver(item)
        except PushError as error:
            self._metrics.count("push_failures")
            self._broken = True
            if not self._failing:
                log.warning("the other origin does not take what is sent", reason=str(error), hint=error.hint)
            self._failing = True
        else:
            if self._failing:
                log.info("the other origin takes what is sent again")
            self._failing = False

    async def _deliver(self, item: Head | Aired | Over) -> None:
        match item:
            case Head():
                self._window.begin(item)
                self._head_is_there = False
                return
            case Aired(segment, time, broken):
                number = self._window.next_number
                await self._head()
                await self._put_file(f"s{number}.m4s", segment.data, SEGMENT_TYPE)
                self._window.add(segment, time=time, broken=broken or self._broken)
                self._broken = False
            case Over():
                self._window.end()
        await self._put_file("index.m3u8", render(self._window.playlist()).encode(), PLAYLIST_TYPE)
        for name in self._window.take_forgotten():
            await self._remote.delete(name)

    async def _head(self) -> None:
        """Send the head once, and again after it has failed."""
        if self._head_is_there:
            return
        head, media = self._window.head, self._window.current
        if head is None or media is None:
            return
        await self._put_file(media.name, media.data, HEAD_TYPE)
        master = render_master("index.m3u8", bandwidth=self._bandwidth(head), codecs=head.codecs, size=head.size)
        await self._put_file("master.m3u8", master.encode(), PLAYLIST_TYPE)
        self._head_is_there = True

    async def _put_file(self, name: str, data: bytes, media_type: str) -> None:
        await self._remote.put(name, data, media_type)
        self._metrics.count("pushed")
