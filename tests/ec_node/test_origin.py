from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_node.media.playlist import parse
from ec_node.media.window import Window
from ec_node.metrics import Metrics
from ec_node.publish import ranges
from ec_node.publish.local import LocalPublisher
from ec_node.publish.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_node.media.segmenter import Head, Segment


class Answer:
    """What an origin answered."""

    def __init__(self, messages: list[dict[str, Any]]) -> None:
        self.status = messages[0]["status"]
        self.headers = {key.decode(): value.decode() for key, value in messages[0]["headers"]}
        self.pieces = [len(message.get("body", b"")) for message in messages[1:]]
        self.body = b"".join(message.get("body", b"") for message in messages[1:])


class Asked:
    """An origin, and a player without a network."""

    def __init__(self, local: LocalPublisher) -> None:
        self.local = local
        self.metrics = Metrics("a")
        self.trouble: str | None = None
        self.on_health: Callable[[], None] = lambda: None
        self.origin = Origin(
            "a",
            local,
            self.metrics,
            segment=2,
            allow_origin="*",
            healthy=self.healthy,
            bandwidth=lambda _: 3_000_000,
        )

    def healthy(self) -> str | None:
        """Say what is to be said."""
        self.on_health()
        return self.trouble

    def __call__(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """Ask for *path*."""
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            messages.append(dict(message))

        pairs = [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": pairs, "extensions": {}}
        asyncio.run(self.origin(scope, receive, send))
        return Answer(messages)


@pytest.fixture
def ask(make_head: Callable[[str], Head], make_segment: Callable[..., Segment]) -> Asked:
    """Give an origin with one segment: number 7, `0123456789`."""
    local = LocalPublisher(Window(size=4, target=2, first=7, cuts=0, max_bytes=1 << 20), Metrics("a"), lambda *_: None)
    local.begin(make_head("head"))
    local.add(make_segment("0123456789"), 1_800_000_000.0)
    return Asked(local)


def test_a_playlist_is_kept_for_half_a_segment_at_most(ask: Asked) -> None:
    """What is in between must not show viewers what was."""
    found = ask("/a/index.m3u8")

    assert (200, "application/vnd.apple.mpegurl", "public, max-age=1") == (
        found.status,
        found.headers["content-type"],
        found.headers["cache-control"],
    )
    assert ["s7.m4s"] == [entry.uri for entry in parse(found.body.decode()).entries]
    assert "*" == found.headers["access-control-allow-origin"]


def test_media_are_kept_for_long_and_have_tags(ask: Asked) -> None:
    """Their bytes never change; who has them is not sent them again."""
    found = ask("/a/s7.m4s")
    again = ask("/a/s7.m4s", if_none_match=found.headers["etag"])

    assert (200, b"0123456789", "video/iso.segment") == (found.status, found.body, found.headers["content-type"])
    assert "immutable" in found.headers["cache-control"]
    assert (304, b"") == (again.status, again.body)
    assert found.headers["etag"] == again.headers["etag"]


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-99", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=4-2", 200, b"0123456789", None),
        ("bytes=0-1,3-4", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
    ],
)
def test_ranges_are_those_of_the_standard(
    ask: Asked, wanted: str, status: int, body: bytes, content: str | None
) -> None:
    """What is malformed, or several, is passed over."""
    found = ask("/a/s7.m4s", range=wanted)

    assert (status, body, content) == (found.status, found.body, found.headers.get("content-range"))


def test_a_range_of_something_else_is_not_mixed_in(ask: Asked) -> None:
    """If-Range names another version: the whole is sent."""
    assert 200 == ask("/a/s7.m4s", range="bytes=0-1", if_range='"other"').status


def test_a_head_request_has_the_size_and_no_body(ask: Asked) -> None:
    """As any HTTP server."""
    found = ask("/a/s7.m4s", "HEAD")

    assert (200, b"", "10") == (found.status, found.body, found.headers["content-length"])


def test_a_browser_may_ask_before_it_asks(ask: Asked) -> None:
    """Players on other sites need the preflight."""
    found = ask("/a/s7.m4s", "OPTIONS")

    assert (204, "GET, HEAD, OPTIONS") == (found.status, found.headers["access-control-allow-methods"])


@pytest.mark.parametrize("path", ["/", "/a", "/a/", "/a/s8.m4s", "/b/index.m3u8", "/a/../a/index.m3u8", "/a/x.m4s"])
def test_what_is_not_there_is_not_remembered_as_missing(ask: Asked, path: str) -> None:
    """Soon it may be."""
    found = ask(path)

    assert 404 == found.status
    assert "max-age" not in found.headers.get("cache-control", "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(ask: Asked, method: str) -> None:
    """It is an origin, not a store."""
    assert 405 == ask("/a/index.m3u8", method).status


def test_health_and_metrics_are_told(ask: Asked) -> None:
    """To a load balancer and to Prometheus."""
    well = ask("/healthz")
    ask.trouble = "no segment for 30 seconds"
    unwell = ask("/healthz")

    assert (200, 503, b"no segment for 30 seconds\n") == (well.status, unwell.status, unwell.body)
    assert b'ec_node_requests_total{broadcast="a",status="503"} 1' in ask("/metrics").body


def test_the_age_of_the_newest_segment_is_that_of_now(ask: Asked) -> None:
    """An alarm asks for metrics alone, and never for health."""
    ask.on_health = lambda: ask.metrics.gauge("last_segment_seconds", 31)

    assert b'ec_node_last_segment_seconds{broadcast="a"} 31\n' in ask("/metrics").body


def test_a_large_segment_leaves_in_pieces(make_segment: Callable[..., Segment], ask: Asked) -> None:
    """A viewer with a slow line holds a piece of it, not a copy."""
    ask.local.add(make_segment("x" * 150_000), 1.0)
    found = ask("/a/s8.m4s")
    part = ask("/a/s8.m4s", range="bytes=1-140000")

    assert [65536, 65536, 18928] == found.pieces
    assert ("150000", 150_000) == (found.headers["content-length"], len(found.body))
    assert (140_000, 3) == (len(part.body), len(part.pieces))


@given(st.text(max_size=40) | st.from_regex(r"bytes=[0-9]{0,5}-[0-9]{0,5}", fullmatch=True), st.integers(0, 100_000))
def test_any_range_lies_within_what_there_is(header: str, size: int) -> None:
    """Or is passed over, or cannot be satisfied."""
    try:
        found = ranges.parse(header, size)
    except ranges.UnsatisfiableError:
        return
    assert found is None or 0 <= found[0] < found[1] <= size
