"""One broadcast: the file of a unit says what node.toml said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import broadcast
from ec_closure.broadcast import Broadcast, BroadcastError
from ec_closure.errors import BadInputError, LimitError

ONE = Broadcast(name="channel-4", input="hdhomerun://10A1B2C3/4.1")


def test_what_is_written_is_what_is_read() -> None:
    """As a file of its own."""
    assert ONE == broadcast.decode(broadcast.encode(ONE))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'name = "Channel 4"\ninput = "http://a/"', "b.toml: name"),
        (b'name = "a/../b"\ninput = "http://a/"', "b.toml: name"),
        (b'name = "a"\ninput = "a"', "b.toml.input"),
        (b'name = "a"\ninput = "http://a/"\nother = 1', "b.toml"),
        (b'name = "a"\nname = "b"', "b.toml: line 2, column 11"),
        (b"name = \xff", "b.toml"),
        (b"name = " + b"[" * 5000, "b.toml"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: bytes, place: str) -> None:
    """Whoever reads it finds the key."""
    with pytest.raises(BroadcastError) as caught:
        broadcast.decode(text, what="b.toml")

    assert caught.value.place is not None
    assert caught.value.place.startswith(place.partition(",")[0]) or "end of document" in caught.value.place


def test_a_file_without_end_is_not_read() -> None:
    """The limit comes before the parser."""
    with pytest.raises(LimitError):
        broadcast.decode(b"#" * (broadcast.MAX_BYTES + 1))


@given(st.binary(max_size=200))
def test_bytes_are_refused_with_an_error_of_ours(data: bytes) -> None:
    """Whatever they are."""
    with pytest.raises(BadInputError):
        broadcast.decode(data)
