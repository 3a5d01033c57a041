from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_node.errors import MediaError
from ec_node.media.playlist import Entry, MediaPlaylist, parse, render, render_master

HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"

entries = st.lists(
    st.builds(
        Entry,
        uri=st.from_regex(r"s[0-9]{1,6}\.m4s", fullmatch=True),
        duration=st.integers(0, 2499),
        head=st.sampled_from(["i1.mp4", "i2.mp4"]),
        discontinuity=st.booleans(),
    ),
    max_size=12,
).map(tuple)


@given(
    st.builds(
        MediaPlaylist,
        target=st.just(2),
        sequence=st.integers(0, 2**53),
        discontinuity_sequence=st.integers(0, 2**53),
        entries=entries,
        ended=st.booleans(),
    )
)
def test_what_is_rendered_is_read_back(playlist: MediaPlaylist) -> None:
    """The reader, which knows nothing of the writer, finds everything in it."""
    assert playlist == parse(render(playlist))


@given(st.text(max_size=300) | st.text(max_size=300).map(lambda text: HEAD + text))
def test_any_text_is_a_playlist_or_refused(text: str) -> None:
    """No other error comes out."""
    with contextlib.suppress(MediaError):
        assert parse(text).sequence >= 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#EXTINF:1,\nx\n",
        "#EXTM3U\n#EXTINF:1,\nx\n",
        HEAD + "x\n",
        HEAD + "#EXTINF:1,\n",
        HEAD + "#EXTINF:2.6,\nx\n",
        HEAD + "#EXTINF:-1,\nx\n",
        HEAD + "#EXT-X-TARGETDURATION:2\n",
        HEAD + "#EXT-X-MAP:BYTERANGE=1\n",
        HEAD + '#EXT-X-KEY:METHOD=AES-128,URI="k"\n',
        HEAD + "#EXTINF:1,\nx\n#EXT-X-MEDIA-SEQUENCE:3\n",
        HEAD + "#EXT-X-PLAYLIST-TYPE:LIVE\n",
        HEAD + "#EXT-X-PROGRAM-DATE-TIME:yesterday\n",
        HEAD + "#EXT-X-MEDIA-SEQUENCE:-1\n",
    ],
)
def test_what_the_standard_forbids_is_refused(text: str) -> None:
    """The reader is the oracle of other tests: it must not be kind."""
    with pytest.raises(MediaError):
        parse(text)


def test_a_live_playlist_reads_like_the_standards() -> None:
    """Line by line."""
    playlist = MediaPlaylist(
        2,
        7,
        3,
        (Entry("s7.m4s", 2000, "i7.mp4", time=1_800_000_000.5), Entry("s8.m4s", 1999, "i8.mp4", discontinuity=True)),
    )

    assert render(playlist).splitlines() == [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-TARGETDURATION:2",
        "#EXT-X-MEDIA-SEQUENCE:7",
        "#EXT-X-DISCONTINUITY-SEQUENCE:3",
        '#EXT-X-MAP:URI="i7.mp4"',
        "#EXT-X-PROGRAM-DATE-TIME:2027-01-15T08:00:00.500Z",
        "#EXTINF:2.000,",
        "s7.m4s",
        "#EXT-X-DISCONTINUITY",
        '#EXT-X-MAP:URI="i8.mp4"',
        "#EXTINF:1.999,",
        "s8.m4s",
    ]


def test_a_master_playlist_names_codecs_and_size() -> None:
    """Players choose by them."""
    text = render_master("index.m3u8", bandwidth=3_000_000, codecs="avc1.42c01e,mp4a.40.2", size=(1280, 720))

    assert (
        '#EXT-X-STREAM-INF:BANDWIDTH=3000000,CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=1280x720\nindex.m3u8\n' in text
    )
