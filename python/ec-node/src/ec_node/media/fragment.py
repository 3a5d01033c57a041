"""What the head of a fragmented MP4 and its fragments say: tracks, codecs, durations, key frames.

Read from `moov` and `moof` (ISO/IEC 14496-12, clauses 8.4, 8.5 and 8.8). Samples themselves are not looked at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from ec_node.errors import MediaError
from ec_node.media.boxes import child, children

_NOT_SYNC = 0x00010000
_BASE, _DESCRIPTION, _DURATION, _SIZE, _FLAGS = 0x1, 0x2, 0x8, 0x10, 0x20
_OFFSET, _FIRST_FLAGS = 0x1, 0x4
_S_DURATION, _S_SIZE, _S_FLAGS, _S_COMPOSITION = 0x100, 0x200, 0x400, 0x800
_MAX_SAMPLES = 1 << 16
_VISUAL = 78  # bytes of a VisualSampleEntry before its boxes
_AUDIO = 28


@dataclass(frozen=True)
class Track:
    """One track of a head. *kind* is `vide`, `soun` or another handler; *codec* as RFC 6381 writes it.

    Sizes of samples and their flags in a fragment fall back to *default_duration* (of 1/*timescale* seconds) and
    *default_flags*.
    """

    number: int
    kind: str
    timescale: int
    codec: str
    width: int = 0
    height: int = 0
    default_duration: int = 0
    default_flags: int = 0


@dataclass(frozen=True)
class Fragment:
    """What one `moof` says about the leading track: *duration* in seconds, and whether it begins with a key frame."""

    duration: Fraction
    key: bool


def tracks(moov: bytes) -> tuple[Track, ...]:
    """Return the tracks that the content of a `moov` declares. Raises `MediaError`."""
    try:
        defaults = _defaults(moov)
        return tuple(_track(box.content, defaults) for box in children(moov) if box.kind == b"trak")
    except (struct.error, IndexError) as error:
        raise MediaError(f"a head is cut off: {error}") from error


def leading(found: tuple[Track, ...]) -> Track:
    """Return the track that segments are cut by: pictures, or else sound. Raises `MediaError` when there is neither."""
    for kind in ("vide", "soun"):
        for track in found:
            if track.kind == kind:
                return track
    raise MediaError("there are neither pictures nor sound")


def read(moof: bytes, track: Track) -> Fragment:
    """Return what the content of a `moof` says about *track*, no time at all where it says nothing.

    Raises `MediaError`.
    """
    duration, key, seen = 0, False, False
    try:
        for box in children(moof):
            if box.kind != b"traf":
                continue
            parts = list(children(box.content))
            header = next((one.content for one in parts if one.kind == b"tfhd"), b"")
            number, default_duration, default_flags = _fragment_defaults(header, track)
            if number != track.number:
                continue
            for run in (one.content for one in parts if one.kind == b"trun"):
                length, first = _run(run, default_duration, default_flags)
                if not seen:
                    key = not first & _NOT_SYNC
                    seen = True
                duration += length
    except (struct.error, IndexError) as error:
        raise MediaError(f"a fragment is cut off: {error}") from error
    return Fragment(Fraction(duration, track.timescale), key)


def _defaults(moov: bytes) -> dict[int, tuple[int, int]]:
    found = {}
    for box in children(child(moov, b"mvex")):
        if box.kind == b"trex":
            number, _, duration, _, flags = struct.unpack_from(">5I", box.content, 4)
            found[number] = (duration, flags)
    return found


def _track(trak: bytes, defaults: dict[int, tuple[int, int]]) -> Track:
    header = child(trak, b"tkhd")
    (number,) = struct.unpack_from(">I", header, 20 if header[0] else 12)
    media = child(trak, b"mdia")
    media_header = child(media, b"mdhd")
    (timescale,) = struct.unpack_from(">I", media_header, 20 if media_header[0] else 12)
    if not timescale:
        raise MediaError("a track has no time scale")
    kind = child(media, b"hdlr")[8:12].decode("latin-1")
    entry = next(children(child(media, b"minf", b"stbl", b"stsd")[8:]), None)
    if entry is None:
        raise MediaError("a track has no format")
    codec, width, height = entry.kind.decode("latin-1"), 0, 0
    if kind == "vide":
        width, height = struct.unpack_from(">HH", entry.content, 24)
        if entry.kind in (b"avc1", b"avc3"):
            codec += "." + child(entry.content[_VISUAL:], b"avcC")[1:4].hex()
        elif entry.kind in (b"hvc1", b"hev1"):
            codec += "." + hevc_profile(child(entry.content[_VISUAL:], b"hvcC"))
    elif kind == "soun" and entry.kind == b"mp4a":
        codec = _mp4a(child(entry.content[_AUDIO:], b"esds"))
    duration, flags = defaults.get(number, (0, 0))
    return Track(number, kind, timescale, codec, width, height, duration, flags)


def hevc_profile(configuration: bytes) -> str:
    """Return profile, compatibility, tier, level and constraints as ISO/IEC 14496-15, annex E.3 writes them."""
    _, profile, compatible, constraints, level = struct.unpack_from(">BBI6sB", configuration)
    space, tier = ("", "A", "B", "C")[profile >> 6], "H" if profile & 0x20 else "L"
    words = [f"{space}{profile & 0x1F}", f"{int(f'{compatible:032b}'[::-1], 2):X}", f"{tier}{level}"]
    return ".".join([*words, *(f"{one:X}" for one in constraints.rstrip(b"\0"))])


def _mp4a(esds: bytes) -> str:
    """Return the codec of an MPEG-4 sound track: its object type, and for AAC the audio object type."""
    at = esds.find(b"\x04", 4)
    while at >= 0:
        after = at + 1
        while esds[after] & 0x80:
            after += 1
        kind = esds[after + 1]
        if kind == 0x40:  # noqa: PLR2004 - MPEG-4 audio
            return f"mp4a.40.{_audio_object(esds, after)}"
        if kind in (0x66, 0x67, 0x68, 0x69, 0x6B):
            return f"mp4a.{kind:02X}"
        at = esds.find(b"\x04", at + 1)
    return "mp4a"


def _audio_object(esds: bytes, start: int) -> int:
    at = esds.find(b"\x05", start + 14)
    if at < 0:
        return 2
    at += 1
    while esds[at] & 0x80:
        at += 1
    return esds[at + 1] >> 3


def _fragment_defaults(tfhd: bytes, track: Track) -> tuple[int, int, int]:
    flags, number = struct.unpack_from(">II", tfhd)
    at, duration, sample_flags = 8, track.default_duration, track.default_flags
    at += 8 if flags & _BASE else 0
    at += 4 if flags & _DESCRIPTION else 0
    if flags & _DURATION:
        (duration,) = struct.unpack_from(">I", tfhd, at)
        at += 4
    at += 4 if flags & _SIZE else 0
    if flags & _FLAGS:
        (sample_flags,) = struct.unpack_from(">I", tfhd, at)
    return number, duration, sample_flags


def _run(trun: bytes, default_duration: int, default_flags: int) -> tuple[int, int]:
    """Return the duration of a run of samples, and the flags of its first."""
    flags, count = struct.unpack_from(">II", trun)
    if count > _MAX_SAMPLES:
        raise MediaError(f"{count} samples in one run")
    at = 8 + (4 if flags & _OFFSET else 0)
    first = default_flags
    if flags & _FIRST_FLAGS:
        (first,) = struct.unpack_from(">I", trun, at)
        at += 4
    width = 4 * sum(bool(flags & one) for one in (_S_DURATION, _S_SIZE, _S_FLAGS, _S_COMPOSITION))
    if flags & _S_FLAGS and not flags & _FIRST_FLAGS and count:
        (first,) = struct.unpack_from(">I", trun, at + 4 * sum(bool(flags & one) for one in (_S_DURATION, _S_SIZE)))
    if not flags & _S_DURATION:
        return default_duration * count, first
    durations = (struct.unpack_from(">I", trun, at + width * index)[0] for index in range(count))
    return sum(durations), first
