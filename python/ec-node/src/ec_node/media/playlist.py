"""HLS playlists (RFC 8216): written from values, and read back: so ours are tested, and others' followed."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Literal

from ec_closure.decoding import excerpt
from ec_node.errors import MediaError

MAX_PLAYLIST = 4 << 20
MAX_ENTRIES = 100_000
_VERSION = 7  # EXT-X-MAP in a playlist of fragmented MP4
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"\r\n]*"|[^",\s]+)')
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_INTEGER = re.compile(r"[0-9]{1,19}")

Kind = Literal["VOD", "EVENT"]


@dataclass(frozen=True)
class Entry:
    """One segment as a playlist lists it. *duration* is in milliseconds; *head* is the address of its initialisation.

    *time* is when it was on air, seconds since 1970.
    """

    uri: str
    duration: int
    head: str
    discontinuity: bool = False
    time: float | None = None


@dataclass(frozen=True)
class MediaPlaylist:
    """A media playlist. *sequence* and *discontinuity_sequence* number its first entry."""

    target: int
    sequence: int
    discontinuity_sequence: int
    entries: tuple[Entry, ...]
    ended: bool = False
    kind: Kind | None = None


def render(playlist: MediaPlaylist) -> str:
    """Return *playlist* as text. The initialisation is named again wherever it changes."""
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{_VERSION}",
        f"#EXT-X-TARGETDURATION:{playlist.target}",
        f"#EXT-X-MEDIA-SEQUENCE:{playlist.sequence}",
    ]
    if playlist.kind is not None:
        lines.append(f"#EXT-X-PLAYLIST-TYPE:{playlist.kind}")
    else:
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{playlist.discontinuity_sequence}")
    head = None
    for at, entry in enumerate(playlist.entries):
        if entry.discontinuity:
            lines.append("#EXT-X-DISCONTINUITY")
        if entry.head != head:
            head = entry.head
            lines.append(f'#EXT-X-MAP:URI="{head}"')
        if entry.time is not None and (entry.discontinuity or at == 0):
            lines.append(f"#EXT-X-PROGRAM-DATE-TIME:{_when(entry.time)}")
        lines += [f"#EXTINF:{entry.duration // 1000}.{entry.duration % 1000:03},", entry.uri]
    if playlist.ended:
        lines.append("#EXT-X-ENDLIST")
    return "\n".join(lines) + "\n"


def render_master(uri: str, *, bandwidth: int, codecs: str, size: tuple[int, int] | None) -> str:
    """Return a master playlist with one variant; *bandwidth* is the peak in bit/s."""
    about = [f"BANDWIDTH={bandwidth}", f'CODECS="{codecs}"']
    if size is not None:
        about.append(f"RESOLUTION={size[0]}x{size[1]}")
    return f"#EXTM3U\n#EXT-X-VERSION:{_VERSION}\n#EXT-X-STREAM-INF:{','.join(about)}\n{uri}\n"


def parse(text: str) -> MediaPlaylist:
    """Return the media playlist that *text* is. Raises `MediaError` for what RFC 8216 forbids.

    Tags that are not known are passed over, as it demands. Not checked: what addresses lead to.
    """
    if len(text) > MAX_PLAYLIST:
        raise MediaError(f"a playlist of more than {MAX_PLAYLIST >> 20} MiB")
    return _Reader().read(text)


class _Reader:
    """What is known of a playlist so far."""

    def __init__(self) -> None:
        self.once: dict[str, str] = {}
        self.entries: list[Entry] = []
        self.duration: int | None = None
        self.head = ""
        self.discontinuity = False
        self.time: float | None = None
        self.ended = False

    def read(self, text: str) -> MediaPlaylist:
        lines = text.split("\n")
        if lines[0].rstrip("\r") != "#EXTM3U":
            raise MediaError("a playlist begins with #EXTM3U")
        for number, line in enumerate(lines[1:], 2):
            try:
                self._line(line.rstrip("\r"))
            except MediaError as error:
                raise MediaError(error.message, place=f"line {number}") from None
        if self.duration is not None:
            raise MediaError("the last segment has no address")
        target = _integer(self.once.get("#EXT-X-TARGETDURATION", ""))
        for entry in self.entries:
            if (entry.duration + 500) // 1000 > target:
                raise MediaError(f"a segment of {entry.duration} ms where {target} s is the target")
        kind = self.once.get("#EXT-X-PLAYLIST-TYPE")
        if kind not in (None, "VOD", "EVENT"):
            raise MediaError(f"no type of playlist: {excerpt(str(kind), 40)}")
        return MediaPlaylist(
            target,
            _integer(self.once.get("#EXT-X-MEDIA-SEQUENCE", "0")),
            _integer(self.once.get("#EXT-X-DISCONTINUITY-SEQUENCE", "0")),
            tuple(self.entries),
            self.ended,
            "VOD" if kind == "VOD" else "EVENT" if kind == "EVENT" else None,
        )

    def _line(self, line: str) -> None:  # noqa: C901 - one case a tag
        if not line:
            return
        if not line.startswith("#"):
            self._entry(line)
            return
        tag, _, value = line.partition(":")
        match tag:
            case "#EXTINF":
                self.duration = _milliseconds(value.partition(",")[0])
            case "#EXT-X-MAP":
                self.head = dict(_ATTRIBUTE.findall(value)).get("URI", "").strip('"')
                if not self.head:
                    raise MediaError("an initialisation without an address")
            case "#EXT-X-DISCONTINUITY":
                self.discontinuity = True
            case "#EXT-X-PROGRAM-DATE-TIME":
                self.time = _seconds(value)
            case "#EXT-X-ENDLIST":
                self.ended = True
            case "#EXT-X-KEY" | "#EXT-X-BYTERANGE" | "#EXT-X-STREAM-INF":
                raise MediaError(f"{tag} is not understood")
            case (
                "#EXT-X-TARGETDURATION"
                | "#EXT-X-MEDIA-SEQUENCE"
                | "#EXT-X-DISCONTINUITY-SEQUENCE"
                | "#EXT-X-PLAYLIST-TYPE"
                | "#EXT-X-VERSION"
            ):
                if tag in self.once:
                    raise MediaError(f"{tag} stands twice")
                if self.entries and tag != "#EXT-X-VERSION":
                    raise MediaError(f"{tag} stands after a segment")
                self.once[tag] = value

    def _entry(self, uri: str) -> None:
        if self.duration is None:
            raise MediaError("a segment without a duration")
        if len(self.entries) >= MAX_ENTRIES:
            raise MediaError(f"more than {MAX_ENTRIES} segments")
        self.entries.append(Entry(uri, self.duration, self.head, self.discontinuity, self.time))
        self.duration, self.discontinuity, self.time = None, False, None


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise MediaError(f"no whole number: {excerpt(text, 40)!r}")
    return int(text)


def _milliseconds(text: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise MediaError(f"no duration: {excerpt(text, 40)!r}")
    return round(float(text) * 1000)


def _seconds(text: str) -> float:
    try:
        found = datetime.datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=datetime.UTC)).timestamp()
    except (ValueError, OverflowError):
        raise MediaError(f"no time: {excerpt(text, 40)!r}") from None


def _when(seconds: float) -> str:
    moment = datetime.datetime.fromtimestamp(round(seconds, 3), datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
