from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_node.media.playlist import MediaPlaylist, parse, render
from ec_node.media.segmenter import Head, Segment
from ec_node.media.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable


def window(*, size: int = 4, max_bytes: int = 1 << 20, first: int = 100) -> Window:
    """Return an empty window."""
    return Window(size=size, target=2, first=first, cuts=5, max_bytes=max_bytes)


def test_a_name_never_means_other_bytes(make_head: Callable[[str], Head], make_segment: Callable[..., Segment]) -> None:
    """Not even of heads that no segment followed."""
    one = window()
    first, second = one.begin(make_head("a")), one.begin(make_head("b"))

    assert first.name != second.name
    assert one.add(make_segment()).entry.head == second.name
    assert one.find(first.name) is None


def test_what_left_the_playlist_stays_as_long_again(
    make_head: Callable[[str], Head], make_segment: Callable[..., Segment]
) -> None:
    """A player that is late still gets it."""
    one = window()
    one.begin(make_head("a"))
    names = [one.add(make_segment(str(at))).media.name for at in range(20)]

    assert [entry.uri for entry in one.playlist().entries] == names[-4:]
    assert [name for name in names if one.find(name) is not None] == names[-8:]
    assert one.take_forgotten() == names[4:12]
    assert one.take_forgotten() == []


def test_memory_is_bounded_before_the_window_is(
    make_head: Callable[[str], Head], make_segment: Callable[..., Segment]
) -> None:
    """Segments that are larger than expected cost history, never more memory."""
    one = window(max_bytes=2500)
    one.begin(make_head("a"))
    for at in range(20):
        one.add(make_segment(f"{at:0>1000}"))

    assert one.held_bytes <= 2500
    assert len(one.playlist().entries) == 2


def test_a_segment_before_any_head_is_a_mistake(make_segment: Callable[..., Segment]) -> None:
    """Of the caller."""
    with pytest.raises(LookupError):
        window().add(make_segment())


def absolute(playlist: MediaPlaylist) -> dict[str, int]:
    """Return the discontinuity sequence number of each segment, as RFC 8216 (6.3.2) has players count it."""
    found, number = {}, playlist.discontinuity_sequence
    for entry in playlist.entries:
        number += entry.discontinuity
        found[entry.uri] = number
    return found


@given(st.lists(st.sampled_from(["head", "segment", "broken"]), max_size=60), st.integers(0, 2**40))
def test_every_playlist_is_valid_and_goes_on_from_the_one_before(steps: list[str], first: int) -> None:
    """Numbers never go back; a segment keeps its number, its discontinuity and its name for as long as it is listed."""
    one = window(size=4, first=first)
    one.begin(Head(b"h", (), hashlib.sha256(b"h").hexdigest()))
    sequence, numbers, discontinuities = first, dict[str, int](), dict[str, int]()
    for at, step in enumerate(steps):
        if step == "head":
            data = b"head %d" % at
            one.begin(Head(data, (), hashlib.sha256(data).hexdigest()))
        else:
            data = b"%d" % at
            segment = Segment(data, Fraction(2), key=True, digest=hashlib.sha256(data).hexdigest())
            one.add(segment, broken=step == "broken")
        found = parse(render(one.playlist()))
        assert found.sequence >= sequence
        sequence = found.sequence
        for number, entry in enumerate(found.entries, found.sequence):
            assert numbers.setdefault(entry.uri, number) == number
            assert one.find(entry.uri) is not None
            assert one.find(entry.head) is not None
        assert one.next_cut > max(absolute(found).values(), default=0)
        for uri, counted in absolute(found).items():
            assert discontinuities.setdefault(uri, counted) == counted
        assert one.held_bytes == sum(len(media.data) for media in one._by_name.values())
