"""Publishing at the built-in origin: a window in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ec_node.media.playlist import render

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_node.media.segmenter import Head, Segment
    from ec_node.media.window import Window
    from ec_node.metrics import Metrics


class LocalPublisher:
    """Keeps what the origin answers with. *used* is told numbers before they can be seen."""

    def __init__(self, window: Window, metrics: Metrics, used: Callable[[int, int], None]) -> None:
        self.window = window
        self._metrics = metrics
        self._used = used
        self.playlist = render(window.playlist()).encode()
        """What players get: made once a segment, not once a request."""

    def begin(self, head: Head) -> None:
        """Go on with another head."""
        self.window.begin(head)

    def add(self, segment: Segment, time: float) -> None:
        """Take the next segment."""
        self._used(self.window.next_number, self.window.next_cut)
        self.window.add(segment, time=time)
        self.playlist = render(self.window.playlist()).encode()
        self._metrics.gauge("window_bytes", self.window.held_bytes)
        self._metrics.gauge("media_sequence", self.window.next_number)

    def end(self) -> None:
        """Say in the playlist that nothing follows."""
        self.window.end()
        self.playlist = render(self.window.playlist()).encode()

    async def run(self) -> None:
        """Wait to be cancelled: everything is done at once."""
        await asyncio.Event().wait()

    async def drain(self) -> None:
        """Everything is done at once."""
