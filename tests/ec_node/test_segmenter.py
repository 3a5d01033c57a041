from __future__ import annotations

import contextlib
import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_node.errors import MediaError
from ec_node.media.boxes import BoxReader, children
from ec_node.media.fragment import hevc_profile
from ec_node.media.segmenter import Head, Segment, Segmenter

if TYPE_CHECKING:
    from collections.abc import Iterable


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    """Yield *data* in pieces of *size* bytes."""
    return (data[at : at + size] for at in range(0, len(data), size))


def cut(data: bytes, segmenter: Segmenter, size: int = 65536) -> tuple[list[Head], list[Segment]]:
    """Return what *segmenter* makes of *data* that arrives in pieces of *size* bytes."""
    made = [one for piece in pieces(data, size) for one in segmenter.feed(piece)] + list(segmenter.finish())
    return [one for one in made if isinstance(one, Head)], [one for one in made if isinstance(one, Segment)]


def test_fragments_are_gathered_until_a_segment_is_long_enough(fragmented: bytes) -> None:
    """Every byte of the stream stands in the head or in a segment, in order."""
    (head,), segments = cut(fragmented, Segmenter(Fraction(2), 2))

    assert [segment.duration for segment in segments] == [2, 2, 2]
    assert all(segment.key for segment in segments)
    assert fragmented.startswith(head.data + b"".join(segment.data for segment in segments))
    assert (head.codecs[:9], head.codecs[11:], head.size) == ("avc1.42c0", ",mp4a.40.2", (320, 180))


@pytest.mark.parametrize("size", [1000, 4096, 1 << 20])
def test_how_bytes_arrive_makes_no_difference(fragmented: bytes, size: int) -> None:
    """Segments are a function of the stream."""
    assert cut(fragmented, Segmenter(Fraction(2), 2)) == cut(fragmented, Segmenter(Fraction(2), 2), size)


def test_with_keys_known_a_segment_does_not_wait_for_the_next(fragmented: bytes) -> None:
    """Viewers are a segment nearer to what is on air."""
    patient, eager = Segmenter(Fraction(1), 1), Segmenter(Fraction(1), 1, eager=True)
    fragments = list(BoxReader().feed(fragmented))
    two = b"".join(box.data for box in fragments[:4])

    assert [sum(isinstance(one, Segment) for one in each.feed(two)) for each in (patient, eager)] == [0, 1]


def test_sound_alone_belongs_to_the_segment_before(fragmented: bytes) -> None:
    """What is passed through is cut each second, also where only sound has come; a film's may be longer."""
    boxes = list(BoxReader().feed(fragmented))
    head, first, more = b"".join(one.data for one in boxes[:2]), boxes[2:4], boxes[4:6]
    about = next(one for one in children(first[0].content) if one.kind == b"traf" and one.data[20:24] == b"\0\0\0\2")
    alone = struct.pack(">I4s", 8 + len(about.data), b"moof") + about.data + struct.pack(">I4s", 8, b"mdat")
    whole = [b"".join(one.data for one in pair) for pair in (first, more)]

    _, segments = cut(head + alone + whole[0] + alone + whole[1] + alone, Segmenter(Fraction(1), 2))

    assert [(one.duration, one.key) for one in segments] == [(1, True), (1, True)]
    assert [len(one.data) for one in segments] == [len(whole[0]) + 2 * len(alone), len(whole[1]) + len(alone)]


def test_a_clock_that_jumps_is_an_error(fragmented: bytes) -> None:
    """The target duration is a promise; the run ends, and the next begins with a discontinuity."""
    with pytest.raises(MediaError, match="clock has jumped"):
        cut(fragmented, Segmenter(Fraction(1, 4), 0))


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I4s", 4, b"ftyp"),
        struct.pack(">I4s", 0xFFFFFFFF, b"ftyp"),
        struct.pack(">I4sQ", 1, b"ftyp", 3),
        struct.pack(">I4s", 8, b"mdat"),
        struct.pack(">I4s", 8, b"moov"),
        struct.pack(">I4sI4s", 16, b"moov", 8, b"mvex"),
        struct.pack(">I4sI4s", 16, b"moov", 800, b"mvex"),
    ],
)
def test_what_is_no_fragmented_mp4_is_refused(data: bytes) -> None:
    """By an error of ours."""
    with pytest.raises(MediaError):
        cut(data, Segmenter(Fraction(2), 2))


@given(st.data())
def test_a_damaged_stream_gives_segments_or_an_error_of_ours(fragmented: bytes, data: st.DataObject) -> None:
    """Sizes, counts and offsets in it are not believed."""
    damaged = bytearray(fragmented[:20_000])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, 2400))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MediaError):
        assert cut(bytes(damaged), Segmenter(Fraction(2), 2))


@pytest.mark.parametrize(
    ("configuration", "written"),
    [("010160000000b000000000005d", "1.6.L93.B0"), ("0122200000009000000000007b", "2.4.H123.90")],
)
def test_what_hevc_needs_of_a_player_is_told_as_the_standard_writes_it(configuration: str, written: str) -> None:
    """Browsers play no `hvc1` that says nothing more."""
    assert written == hevc_profile(bytes.fromhex(configuration))


@given(st.binary(max_size=200))
def test_any_bytes_are_boxes_or_refused(data: bytes) -> None:
    """No other error comes out."""
    with contextlib.suppress(MediaError):
        assert b"".join(box.data for box in children(data)) == data
