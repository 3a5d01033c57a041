"""What the publisher reads: fragmented MP4, playlists, what tuners answer, lines of an archive, its files."""

from __future__ import annotations

import struct
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.mutate import twist_lines, twist_pieces
from tests.fuzz.target import Target, hold

from ec_closure import broadcast
from ec_closure.errors import BadInputError
from ec_node import hdhomerun
from ec_node.archive import index
from ec_node.errors import MediaError
from ec_node.hdhomerun import Device
from ec_node.media import playlist
from ec_node.media.segmenter import Head, Segment, Segmenter

if TYPE_CHECKING:
    from random import Random


def _box(kind: bytes, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def _moov() -> bytes:
    visual = bytes(24) + struct.pack(">HH", 320, 180) + bytes(50)
    description = _box(b"stsd", bytes(4), struct.pack(">I", 1), _box(b"avc1", visual, _box(b"avcC", b"\1\x42\xc0\x0d")))
    media = _box(
        b"mdia",
        _box(b"mdhd", bytes(12), struct.pack(">I", 1000), bytes(8)),
        _box(b"hdlr", bytes(8), b"vide", bytes(13)),
        _box(b"minf", _box(b"stbl", description)),
    )
    track = _box(b"trak", _box(b"tkhd", bytes(12), struct.pack(">I", 1), bytes(68)), media)
    return _box(b"moov", track, _box(b"mvex", _box(b"trex", struct.pack(">6I", 0, 1, 1, 500, 0, 0))))


def _moof(samples: int) -> bytes:
    header = _box(b"tfhd", struct.pack(">III", 0x8, 1, 500))
    run = _box(b"trun", struct.pack(">II", 0x4, samples), bytes(4))
    return _box(b"moof", _box(b"mfhd", bytes(8)), _box(b"traf", header, run))


_PIECES = (
    _box(b"ftyp", b"iso6"), _moov(), _moof(2), _moof(4), _moof(1 << 16), _box(b"mdat", b"x" * 40), _box(b"sidx"), _box(b"moof"),
    struct.pack(">I4sQ", 1, b"mdat", 24) + bytes(8), struct.pack(">I4s", 0, b"mdat"), _box(b"moov"), _box(b"styp", b"msdh"),
)  # fmt: skip


def _make_media(random: Random) -> bytes:
    fragments = (_moof(random.choice((2, 4))) + _box(b"mdat", random.randbytes(20)) for _ in range(4))
    return _PIECES[0] + _PIECES[1] + b"".join(fragments)


def _twist_media(random: Random, data: bytes) -> bytes:
    pieces, at = [], 0
    while at + 8 <= len(data):
        size = max(8, struct.unpack_from(">I", data, at)[0])
        pieces.append(data[at : at + size])
        at += size
    return b"".join(twist_pieces(random, pieces, _PIECES))


def _media(data: bytes) -> None:
    segmenter = Segmenter(Fraction(2), 2)
    made = [*segmenter.feed(data), *segmenter.finish()]
    heads = [one for one in made if isinstance(one, Head)]
    segments = [one for one in made if isinstance(one, Segment)]
    hold(len(heads) <= 1, "two heads of one run")
    hold(bool(heads) or not segments, "segments before their head")
    hold(all(0 <= one.duration < Fraction(5, 2) for one in segments), "a segment longer than the target")
    hold(sum(len(one.data) for one in (*heads, *segments)) <= len(data), "bytes out of nothing")


def _playlist(data: bytes) -> None:
    found = playlist.parse(data.decode(errors="replace"))
    hold(all((one.duration + 500) // 1000 <= found.target for one in found.entries), "longer than the target")


_LINES = (
    b"#EXTM3U", b"#EXT-X-TARGETDURATION:2", b"#EXT-X-MEDIA-SEQUENCE:7", b"#EXT-X-DISCONTINUITY", b'#EXT-X-MAP:URI="i.mp4"', b"#EXTINF:2.000,",
    b"s7.m4s", b"#EXT-X-ENDLIST", b"#EXT-X-PLAYLIST-TYPE:VOD", b"#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:00Z", b"#EXTINF:1e9,",
    b"#EXT-X-TARGETDURATION:" + b"9" * 5000, b"#EXTINF:" + b"9" * 5000, b"#EXT-X-DISCONTINUITY-SEQUENCE:-1", b"#EXT-X-KEY:METHOD=NONE",
)  # fmt: skip


def _tuner(data: bytes) -> None:
    found = hdhomerun.parse_reply(data, "h")
    if found is None:
        raise MediaError("no answer of a tuner")
    hold(len(found.device) == 8 and int(found.device, 16) >= 0, "no device id")


def _make_reply(random: Random) -> bytes:
    return hdhomerun.reply(Device(f"{random.getrandbits(32):08X}", "h", random.randrange(9), "http://t", "x" * 200))


def _twist_reply(random: Random, data: bytes) -> bytes:
    damaged = bytearray(data[4:-4])
    damaged[random.randrange(len(damaged))] = random.randrange(256)
    return hdhomerun._framed(3, bytes(damaged))


_ROW = b'{"time":%d,"duration":2000,"size":3,"segment":"' + b"0" * 64 + b'","head":"' + b"1" * 64 + b'"}'


def _index(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "a.jsonl"
        path.write_bytes(data)
        before = index.read(path)
        writer = index.IndexWriter(path)
        writer.append(index.Line(time=5, duration=1, size=1, segment="2" * 64, head="3" * 64))
        writer.close()
        after = index.read(path)
    hold(after.lines[:-1] == before.lines and after.lines[-1].time == 5, "what was there went, or what was added")
    if before.damaged:
        raise MediaError("damaged lines")


_TOML = (
    b'name = "a"', b'input = "test:"', b"[video]", b"[hls]", b"port = " + b"9" * 5000, b'input = "udp://[::1]:5"', b"passthrough = true",
    b'input = "hdhomerun://10A1B2C3/4.1"', b'frame_rate = "30000/1001"', b"[push]", b'url = "http://[/"', b'token = "a b"', b"a = " + b"[" * 9000,
)  # fmt: skip

BROADCASTS = (
    Target(
        "media", _media, _make_media, _twist_media, (MediaError,), (b"moof", b"trun", b"\xff\xff\xff\xff", bytes(4))
    ),
    Target(
        "playlist",
        _playlist,
        lambda _: b"\n".join(_LINES[:8]) + b"\n",
        twist_lines(_LINES),
        (MediaError,),
        (b":", b",", b'"', b"\r", b"\n", b"9" * 30, b"\xff"),
    ),
    Target("tuner", _tuner, _make_reply, _twist_reply, (MediaError,)),
    Target(
        "archive-index",
        _index,
        lambda random: b"".join(_ROW % random.randrange(9) + b"\n" for _ in range(random.randrange(4))),
        twist_lines((_ROW % 3, b"{}", b"x" * 5000, b'{"time":1e400}')),
        (MediaError,),
        (b"\n", b"{", b"}", b'"', b"9" * 30, b"\xff"),
        300,
    ),
    Target(
        "broadcast",
        broadcast.decode,
        lambda _: b'name = "a"\ninput = "http://tuner:5004/auto/v4.1"\n[video]\nheight = 720\n',
        twist_lines(_TOML),
        (BadInputError,),
        (b"=", b"[", b"]", b'"', b"\n", b"://", b"@", b"\x00", b"\xff", b"9" * 30),
    ),
)
