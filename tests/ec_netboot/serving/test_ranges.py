"""Byte ranges: what RFC 9110 says about each form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_netboot.serving.ranges import Span, UnsatisfiableError, parse


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-99", (0, 100)),
        ("bytes=0-100", (0, 100)),
        ("bytes=99-", (99, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes= 10-19 ", (10, 20)),
        ("bytes=-1", (99, 100)),
        ("bytes=-100", (0, 100)),
        ("bytes=-1000", (0, 100)),
        ("bytes=5-999999999999999999", (5, 100)),
    ],
)
def test_a_range_is_what_it_says(header: str, span: tuple[int, int]) -> None:
    """The last byte counts, and the end of the file bounds it."""
    assert parse(header, 100) == Span(*span)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=2-1",
        "bytes=0-1,3-4",
        "items=0-1",
        "Bytes=0-1",
        "bytes=0-1-2",
        "bytes=+1-2",
        "bytes=٣-٤",
        "bytes=0x1-0x2",
        "bytes=9999999999999999999-",
        "bytes=1 - 2",
    ],
)
def test_what_is_malformed_or_several_is_ignored(header: str | None) -> None:
    """All of the file is a right answer to any of these."""
    assert parse(header, 100) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=999999999999999999-"])
def test_nothing_of_the_file(header: str) -> None:
    """Answered with 416."""
    with pytest.raises(UnsatisfiableError):
        parse(header, 100)


@given(
    header=st.text(max_size=40) | st.from_regex(r"bytes=[0-9]{0,19}-[0-9]{0,19}", fullmatch=True), size=st.integers(1)
)
def test_a_span_lies_within_the_file(header: str, size: int) -> None:
    """Whatever a client writes."""
    try:
        span = parse(header, size)
    except UnsatisfiableError:
        return
    assert span is None or 0 <= span.start < span.end <= size
