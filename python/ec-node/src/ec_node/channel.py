"""One broadcast at work: what ffmpeg writes becomes segments, and these go to every publisher."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import TYPE_CHECKING

import structlog

from ec_closure import broadcast_input
from ec_closure.broadcast_input import File
from ec_node.discover import host_of
from ec_node.ffmpeg import command, process
from ec_node.ffmpeg.probe import probe
from ec_node.media.segmenter import Head, Segment, Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ec_closure.broadcast import Broadcast
    from ec_closure.errors import EcError
    from ec_node.clock import Clock
    from ec_node.ffmpeg.command import Program
    from ec_node.ffmpeg.probe import Probed
    from ec_node.ffmpeg.process import Listener, Run
    from ec_node.ffmpeg.progress import Progress
    from ec_node.metrics import Metrics
    from ec_node.publish.publisher import Publisher

log = structlog.get_logger()

_OVERHEAD = Fraction(11, 10)
_STALE = 3
"""Segments that may be missing before a broadcast counts as unwell."""


def target_duration(broadcast: Broadcast) -> int:
    """Return the target duration of playlists, in seconds.

    Key frames of a copied stream come when they come: there, a segment may be twice as long before it is cut anyway.
    """
    return broadcast.hls.segment * (2 if broadcast.passthrough else 1)


class Channel:
    """The job of a supervisor. *publishers* take what is made; *aired* is told after each segment."""

    def __init__(
        self,
        broadcast: Broadcast,
        program: Program,
        publishers: Sequence[Publisher],
        metrics: Metrics,
        clock: Clock,
        aired: Callable[[], None],
    ) -> None:
        self.broadcast = broadcast
        self._program = program
        self._publishers = publishers
        self._metrics = metrics
        self._clock = clock
        self._aired = aired
        self._probed: Probed | None = None
        self._newest: float | None = None
        self._peak = 0

    @property
    def name(self) -> str:
        """What the input is called in messages."""
        return self.broadcast.input

    def replace(self, broadcast: Broadcast) -> None:
        """Go on with other settings from the next run on."""
        self.broadcast, self._probed = broadcast, None

    async def start(self) -> tuple[Run, Listener]:
        """Start a run of ffmpeg. Raises `EcError`: before the first, when the input cannot be published."""
        broadcast, source = self.broadcast, broadcast_input.parse(self.broadcast.input)
        host = await asyncio.to_thread(host_of, source)
        where = command.address(source, host)
        if self._probed is None:
            self._probed = await probe(self._program, broadcast, source, where)
            for kind in self._probed.silent:
                log.warning("announced, but nothing of it comes: it is left out", kind=kind)
        chosen = self._probed.chosen()
        run = await process.start(
            lambda progress: command.encode(
                self._program,
                broadcast,
                source,
                where,
                progress=progress,
                chosen=chosen,
            )
        )
        self._metrics.count("runs")
        log.info("ffmpeg started", pid=run.pid, input=broadcast.input)
        # While a copied stream is cut at its own key frames, an encoded one has them where segments begin.
        eager = not broadcast.passthrough
        segmenter = Segmenter(Fraction(broadcast.hls.segment), target_duration(broadcast), eager=eager)
        return run, _Output(self, segmenter)

    def finished(self, code: int) -> bool:
        """Tell whether a run that ended with *code* had nothing left to do: a file that does not begin again."""
        source = broadcast_input.parse(self.broadcast.input)
        return code == 0 and isinstance(source, File) and not self.broadcast.loop

    def ready(self) -> None:
        """Take note that it works for the first time."""
        log.info("the input plays")

    def failed(self, error: EcError, *, again_in: float) -> None:
        """Take note that a run failed."""
        if self._newest is None or self._clock.monotonic() - self._newest >= self.broadcast.stall:
            # By now it may hold something else. After a short cut, to look again would make the gap longer.
            self._probed = None
        self._metrics.count("failures", cause=error.code)
        self._metrics.gauge("up", 0)
        log.warning("the input is opened again", reason=str(error), hint=error.hint, seconds=round(again_in, 1))

    def publish(self, made: Iterable[Head | Segment], run: _Output) -> None:
        """Hand on what a run made."""
        for one in made:
            if isinstance(one, Head):
                for publisher in self._publishers:
                    publisher.begin(one)
                continue
            time = run.time_of(one, self._clock.wall())
            if 2 * one.duration >= self.broadcast.hls.segment:
                # A shorter one, as where a run ends, says little about how fast a line must be.
                self._peak = max(self._peak, round(len(one.data) * 8 / one.duration))
            self._metrics.count("segments")
            self._metrics.count("media_bytes", len(one.data))
            for publisher in self._publishers:
                publisher.add(one, time)
            self._newest = self._clock.monotonic()
            self._aired()

    def report(self, progress: Progress) -> None:
        """Take note of what ffmpeg reports."""
        self._metrics.gauge("up", 1)
        self._metrics.gauge("speed", progress.speed)
        self._metrics.gauge("dropped_frames", progress.dropped)

    def trouble(self) -> str | None:
        """Return in a few words why the broadcast is not well, None when it is."""
        if self._newest is None:
            return "no segment yet"
        age = self._clock.monotonic() - self._newest
        self._metrics.gauge("last_segment_seconds", age)
        if age > _STALE * target_duration(self.broadcast) + self.broadcast.stall:
            return f"no segment for {age:.0f} seconds"
        return None

    def bandwidth(self, head: Head) -> int:
        """Return the peak in bit/s that a master playlist declares for *head*."""
        kinds = {track.kind for track in head.tracks}
        if self.broadcast.passthrough:
            return max(self._peak, 1)
        video = self.broadcast.video.bitrate if "vide" in kinds else 0
        audio = self.broadcast.audio.bitrate if "soun" in kinds else 0
        return max(self._peak, int((video + audio) * 1000 * _OVERHEAD))


class _Output:
    """What one run writes. Its time stamps are tied to the clock once, when its first segment is there."""

    def __init__(self, channel: Channel, segmenter: Segmenter) -> None:
        self._channel = channel
        self._segmenter = segmenter
        self._begun: float | None = None
        self._length = Fraction(0)

    def data(self, chunk: bytes) -> None:
        self._channel.publish(self._segmenter.feed(chunk), self)

    def progress(self, report: Progress) -> None:
        self._channel.report(report)

    def end(self) -> None:
        self._channel.publish(self._segmenter.finish(), self)

    def time_of(self, segment: Segment, now: float) -> float:
        """Return when *segment* was on air. A clock that is set in between does not move what follows."""
        if self._begun is None:
            self._begun = now - float(segment.duration)
        at = self._begun + float(self._length)
        self._length += segment.duration
        return at
