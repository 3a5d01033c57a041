"""Segments from what ffmpeg writes: a head, then fragments that are gathered until a segment is long enough."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from ec_node.errors import MediaError
from ec_node.media import fragment
from ec_node.media.boxes import BoxReader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_node.media.boxes import Box
    from ec_node.media.fragment import Track

MAX_SEGMENT = 128 << 20
_ROUNDING = Fraction(1, 2)
_SLACK = Fraction(1, 20)
_SKIPPED = frozenset({b"free", b"skip", b"sidx", b"mfra", b"ssix"})
"""Boxes that say something about a file, and nothing of a live stream."""


@dataclass(frozen=True)
class Head:
    """The initialisation segment: *data* is `ftyp` and `moov`."""

    data: bytes = field(repr=False)
    tracks: tuple[Track, ...]
    digest: str

    @property
    def codecs(self) -> str:
        """The codecs as a master playlist lists them."""
        return ",".join(dict.fromkeys(track.codec for track in self.tracks if track.kind in ("vide", "soun")))

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, None without pictures."""
        return next(((track.width, track.height) for track in self.tracks if track.kind == "vide"), None)


@dataclass(frozen=True)
class Segment:
    """A media segment of *duration* seconds. *digest* is the SHA-256 of *data*; with *key* it can be begun at."""

    data: bytes = field(repr=False)
    duration: Fraction
    key: bool
    digest: str


class Segmenter:
    """Makes segments of *target* seconds or a little more, never of more than *limit* once rounded.

    One serves one run of ffmpeg. A segment begins with a key frame, unless they are further apart than
    *limit*. With *eager*, every fragment is known to begin with one, so that a segment need not wait for the next.
    """

    def __init__(self, target: Fraction, limit: int, *, eager: bool = False) -> None:
        self._eager = eager
        self._reader = BoxReader()
        self._target = target
        self._limit = limit + _ROUNDING
        self._head = b""
        self._leading: Track | None = None
        self._before = b""
        self._moof: tuple[bytes, fragment.Fragment] | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._duration = Fraction(0)
        self._key = False

    def feed(self, data: bytes) -> Iterator[Head | Segment]:
        """Yield what *data* completes. Raises `MediaError` for what is no such stream, or lasts longer than it may."""
        for box in self._reader.feed(data):
            yield from self._take(box)

    def finish(self) -> Iterator[Segment]:
        """Yield the last segment. What is incomplete, or lasts no time, is dropped."""
        if self._duration:
            yield self._cut()

    def _take(self, box: Box) -> Iterator[Head | Segment]:
        if box.kind in _SKIPPED:
            return
        if self._leading is None:
            self._head += box.data
            if box.kind == b"moov":
                found = fragment.tracks(box.content)
                self._leading = fragment.leading(found)
                yield Head(self._head, found, hashlib.sha256(self._head).hexdigest())
            elif box.kind != b"ftyp":
                raise MediaError(f"a stream begins with {box.kind!r}")
        elif box.kind == b"moof":
            self._moof = (self._before + box.data, fragment.read(box.content, self._leading))
            self._before = b""
        elif box.kind == b"mdat":
            if self._moof is None:
                raise MediaError("there is data before its description")
            head, about = self._moof
            self._moof = None
            yield from self._add(head + box.data, about)
        else:
            self._before += box.data

    def _add(self, data: bytes, about: fragment.Fragment) -> Iterator[Segment]:
        if about.duration >= self._limit:
            raise MediaError(f"a fragment lasts {float(about.duration):.1f} s: the input's clock has jumped")
        whole = about.key and self._duration >= self._target - _SLACK
        if self._parts and (whole or self._duration + about.duration >= self._limit):
            yield self._cut()
        if not self._duration:
            self._key = about.key
        self._parts.append(data)
        self._size += len(data)
        self._duration += about.duration
        if self._eager and self._duration >= self._target - _SLACK:
            yield self._cut()
        elif self._size > MAX_SEGMENT:
            raise MediaError(f"a segment of more than {MAX_SEGMENT >> 20} MiB")

    def _cut(self) -> Segment:
        data = b"".join(self._parts)
        made = Segment(data, self._duration, self._key, hashlib.sha256(data).hexdigest())
        self._parts, self._size, self._duration, self._key = [], 0, Fraction(0), False
        return made
