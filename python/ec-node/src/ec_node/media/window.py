"""The sliding window of a live playlist, with the media that it lists and as much again.

Numbers only grow: a segment's number is its place in the broadcast for ever, and stands in its name, so that a name
never means other bytes. What left the playlist stays while players may still ask for it (RFC 8216, section 6.2.2).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_node.media.playlist import Entry, MediaPlaylist

if TYPE_CHECKING:
    from ec_node.media.segmenter import Head, Segment


@dataclass(frozen=True)
class Media:
    """Bytes under a *name*, and their SHA-256."""

    name: str
    data: bytes = field(repr=False)
    digest: str


@dataclass(frozen=True)
class Listed:
    """A segment in the window: its *entry* in playlists and its *media*, with those of its head."""

    number: int
    entry: Entry
    media: Media
    head: Media


class Window:
    """At most *size* segments in the playlist and as many behind it, of at most *max_bytes* together.

    *first* numbers the first segment, *cuts* the first discontinuity; a window that follows another begins
    above all that the other has used.
    """

    def __init__(self, *, size: int, target: int, first: int, cuts: int, max_bytes: int) -> None:
        self._size = size
        self._target = target
        self._max_bytes = max_bytes
        self._listed: deque[Listed] = deque()
        self._behind: deque[Listed] = deque()
        self._heads: OrderedDict[str, Media] = OrderedDict()
        self._by_name: dict[str, Media] = {}
        self._next = first
        self._discontinuity_sequence = cuts
        self._broken = False
        self._bytes = 0
        self._forgotten: list[str] = []
        self.head: Head | None = None
        self.ended = False

    @property
    def next_number(self) -> int:
        """The number of the segment that comes next."""
        return self._next

    @property
    def next_cut(self) -> int:
        """The number above those of all discontinuities so far."""
        return self._discontinuity_sequence + sum(one.entry.discontinuity for one in self._listed) + 1

    @property
    def held_bytes(self) -> int:
        """How many bytes of media are held."""
        return self._bytes

    @property
    def current(self) -> Media | None:
        """The head that the next segment goes with, None before the first."""
        return next(reversed(self._heads.values()), None)

    @property
    def listed(self) -> tuple[Listed, ...]:
        """What the playlist lists, oldest first."""
        return tuple(self._listed)

    def begin(self, head: Head) -> Media:
        """Go on with another *head*: a new run of ffmpeg, whose time stamps begin anew."""
        self.head = head
        self._broken = self._next_is_not_the_first()
        # One that no segment followed had the same number: the digest keeps the names apart.
        media = Media(f"i{self._next}-{head.digest[:8]}.mp4", head.data, head.digest)
        if media.name not in self._heads:
            self._hold(media)
        self._heads[media.name] = media
        self._heads.move_to_end(media.name)
        self._drop_heads()
        return media

    def add(self, segment: Segment, *, time: float | None = None, broken: bool = False) -> Listed:
        """Append *segment*, on air at *time*; *broken* says that something before it is missing.

        What falls out of the bounds is forgotten. Raises `LookupError` before the first `begin`.
        """
        head = self.current
        if head is None:
            raise LookupError("a segment before its head")
        number = self._next
        duration = round(segment.duration * 1000)
        uri = f"s{number}.m4s"
        broken = (broken and self._next_is_not_the_first()) or self._broken
        media = Media(uri, segment.data, segment.digest)
        listed = Listed(number, Entry(uri, duration, head.name, broken, time), media, head)
        self._next += 1
        self._broken = False
        self._hold(media)
        self._listed.append(listed)
        self._trim()
        return listed

    def end(self) -> None:
        """Say that nothing follows."""
        self.ended = True

    def playlist(self) -> MediaPlaylist:
        """Return what players see now."""
        number = self._listed[0].number if self._listed else self._next
        return MediaPlaylist(
            self._target,
            number,
            self._discontinuity_sequence,
            tuple(one.entry for one in self._listed),
            self.ended,
        )

    def find(self, name: str) -> Media | None:
        """Return what is held under *name*."""
        return self._by_name.get(name)

    def take_forgotten(self) -> list[str]:
        """Return the names that were forgotten since this was last asked, at most the latest few."""
        found, self._forgotten = self._forgotten, []
        return found

    def _next_is_not_the_first(self) -> bool:
        return bool(self._listed)

    def _hold(self, media: Media) -> None:
        self._by_name[media.name] = media
        self._bytes += len(media.data)

    def _release(self, media: Media) -> None:
        if self._by_name.pop(media.name, None) is not None:
            self._bytes -= len(media.data)
            self._forgotten.append(media.name)
            del self._forgotten[: -2 * self._size]

    def _trim(self) -> None:
        while len(self._listed) > self._size:
            self._retire()
        while len(self._behind) > self._size or (self._behind and self._bytes > self._max_bytes):
            self._forget()
        while len(self._listed) > 1 and self._bytes > self._max_bytes:
            self._retire()
            self._forget()

    def _retire(self) -> None:
        gone = self._listed.popleft()
        self._behind.append(gone)
        # RFC 8216, 6.2.2: it counts the tags that have left, and this one leaves with its segment.
        self._discontinuity_sequence += gone.entry.discontinuity

    def _forget(self) -> None:
        self._release(self._behind.popleft().media)
        self._drop_heads()

    def _drop_heads(self) -> None:
        used = {one.head.name for one in (*self._behind, *self._listed)}
        for name in list(self._heads)[:-1]:
            if name not in used:
                self._release(self._heads.pop(name))
