"""Keeping what is published: a publisher whose origin is the disk.

A disk that is full, slow or gone costs segments of the archive, which are counted, and nothing else.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import structlog

from ec_node.archive.cas import Objects, failed
from ec_node.archive.index import IndexWriter, Line
from ec_node.errors import ArchiveError
from ec_node.media.segmenter import Head
from ec_node.publish.publisher import Aired, Item, Outbox

if TYPE_CHECKING:
    from pathlib import Path

    from ec_node.media.segmenter import Segment
    from ec_node.metrics import Metrics

_QUEUE = 20
_MIB = 1 << 20

log = structlog.get_logger()


def index_path(root: Path, name: str) -> Path:
    """Return where the index of the broadcast *name* is below *root*."""
    return root / "index" / f"{name}.jsonl"


class Archive:
    """Writes to the archive at *root*, synchronously. *keep_free* are bytes that it leaves on the disk."""

    def __init__(self, root: Path, name: str, *, keep_free: int) -> None:
        self._root = root
        self._keep_free = keep_free
        self._objects = Objects(root)
        self._index = IndexWriter(index_path(root, name))
        self._head = ""

    def begin(self, head: bytes) -> None:
        """Go on with another head. Raises `ArchiveError`."""
        self._head = ""
        self._room()
        self._head = self._objects.put(head)

    def add(self, data: bytes, *, time: float, duration: int, broken: bool) -> Line:
        """Keep a segment of *duration* milliseconds. Raises `ArchiveError`, also before the first head was kept."""
        if not self._head:
            raise ArchiveError("the head of this segment was not kept", place=str(self._root))
        self._room()
        digest = self._objects.put(data)
        line = Line(
            time=max(0, round(time * 1000)),
            duration=duration,
            size=len(data),
            segment=digest,
            head=self._head,
            broken=broken,
        )
        self._index.append(line)
        return line

    def close(self) -> None:
        """Let others write."""
        self._index.close()

    def _room(self) -> None:
        try:
            found = os.statvfs(self._root)
        except OSError as error:
            raise failed(error, self._root) from error
        if found.f_bavail * found.f_frsize < self._keep_free:
            raise ArchiveError(
                f"less than {self._keep_free // _MIB} MiB are free", place=str(self._root), hint="archive.keep_free"
            )


class ArchivePublisher:
    """Hands a broadcast to *archive*, in a thread of its own."""

    def __init__(self, archive: Archive, metrics: Metrics) -> None:
        self._archive = archive
        self._metrics = metrics
        self._outbox = Outbox(_QUEUE, lambda: metrics.count("archive_dropped"))
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._head: Head | None = None
        self._broken = True  # whatever an earlier run has left before
        self._failing = False

    def begin(self, head: Head) -> None:
        """Go on with another head."""
        self._put(head)

    def add(self, segment: Segment, time: float) -> None:
        """Take the next segment."""
        self._put(Aired(segment, time))

    def end(self) -> None:
        """Nothing has to be said in an index."""

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while (item := self._outbox.get()) is not None:
                try:
                    await asyncio.to_thread(self._keep, item)
                except ArchiveError as error:
                    self._lost(item, error)
                else:
                    self._kept(item)
            self._idle.set()

    async def drain(self) -> None:
        """Return when nothing waits any more."""
        await self._idle.wait()

    def _put(self, item: Head | Aired) -> None:
        self._outbox.put(item)
        self._idle.clear()
        self._arrived.set()

    def _keep(self, item: Item) -> None:
        if isinstance(item, Head):
            self._head, self._broken = item, True
            return
        if isinstance(item, Aired):
            if self._head is not None:
                # Only when a segment follows, and again after it has failed.
                self._archive.begin(self._head.data)
                self._head = None
            self._archive.add(
                item.segment.data,
                time=item.time,
                duration=round(item.segment.duration * 1000),
                broken=item.broken or self._broken,
            )
            self._broken = False

    def _kept(self, item: Item) -> None:
        if isinstance(item, Aired):
            self._metrics.count("archived")
            if self._failing:
                log.info("segments are archived again")
            self._failing = False

    def _lost(self, item: Item, error: ArchiveError) -> None:
        self._broken = True
        if isinstance(item, Aired):
            self._metrics.count("archive_dropped")
        if not self._failing:
            log.warning("a segment is not archived; the broadcast goes on", reason=str(error))
        self._failing = True
