from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import stamina

from ec_node.client import Remote
from ec_node.errors import PushError
from ec_node.media.playlist import MediaPlaylist, parse
from ec_node.media.window import Window
from ec_node.metrics import Metrics
from ec_node.publish.publisher import Aired, Outbox, Over
from ec_node.publish.push import PushPublisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ec_node.media.segmenter import Head, Segment


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=3):
        yield


class Remembered:
    """An origin elsewhere that refuses what *refuses* says."""

    def __init__(self, refuses: Callable[[str], bool] = lambda _: False) -> None:
        self.files: dict[str, bytes] = {}
        self.gone: list[str] = []
        self.refuses = refuses

    async def put(self, name: str, data: bytes, _media_type: str) -> None:
        """Take a file, or refuse it."""
        if self.refuses(name):
            raise PushError("answered 507", place=name)
        self.files[name] = data

    async def delete(self, name: str) -> None:
        """Take note of what is to go."""
        self.gone.append(name)
        self.files.pop(name, None)

    @property
    def playlist(self) -> MediaPlaylist:
        """Return what its viewers see."""
        return parse(self.files["index.m3u8"].decode())


async def pushed(remote: Remembered, metrics: Metrics, items: list[Head | Segment | None], queue: int = 50) -> None:
    """Hand *items* to a publisher at once; None waits until it has nothing left to do."""
    window = Window(size=3, target=2, first=7, cuts=0, max_bytes=1 << 20)
    publisher = PushPublisher(remote, window, metrics, queue=queue, bandwidth=lambda _: 1)  # type: ignore[arg-type]
    task = asyncio.ensure_future(publisher.run())
    for item in items:
        if item is None:
            await publisher.drain()
        elif hasattr(item, "duration"):
            publisher.add(item, 1.0)
        else:
            publisher.begin(item)
    publisher.end()
    await publisher.drain()
    task.cancel()


def test_everything_that_is_listed_is_there(
    make_head: Callable[[str], Head], make_segment: Callable[..., Segment]
) -> None:
    """And what left the window is asked to be removed."""
    remote = Remembered()
    items: list[Head | Segment | None] = [make_head("a"), *(make_segment(str(at)) for at in range(9))]
    asyncio.run(pushed(remote, Metrics("a"), items))

    assert remote.playlist.ended
    assert ["s13.m4s", "s14.m4s", "s15.m4s"] == [entry.uri for entry in remote.playlist.entries]
    assert ["s7.m4s", "s8.m4s", "s9.m4s"] == remote.gone


def test_what_the_other_origin_refuses_is_not_listed(
    make_head: Callable[[str], Head], make_segment: Callable[..., Segment]
) -> None:
    """Its viewers see a discontinuity, and numbers without a hole."""
    remote, metrics = Remembered(), Metrics("a")
    refused = iter([False, True, True, False, False])
    remote.refuses = lambda name: name.endswith(".m4s") and next(refused)
    asyncio.run(pushed(remote, metrics, [make_head("a"), *(make_segment(str(at)) for at in range(5))]))

    assert [b"0", b"3", b"4"] == [remote.files[entry.uri] for entry in remote.playlist.entries]
    assert [False, True, False] == [entry.discontinuity for entry in remote.playlist.entries]
    assert 2 == metrics.value("push_failures")


def test_a_head_that_was_refused_is_sent_again(
    make_head: Callable[[str], Head], make_segment: Callable[..., Segment]
) -> None:
    """Nothing can be played without it."""
    remote = Remembered()
    answers = iter([True, False, False])
    remote.refuses = lambda name: name.endswith(".mp4") and next(answers)
    asyncio.run(pushed(remote, Metrics("a"), [make_head("a"), make_segment("0"), make_segment("1")]))

    (entry,) = remote.playlist.entries
    assert (b"1", b"a") == (remote.files[entry.uri], remote.files[entry.head])


def test_a_slow_origin_misses_the_oldest(
    make_head: Callable[[str], Head], make_segment: Callable[..., Segment]
) -> None:
    """Nobody waits for it."""
    remote, metrics = Remembered(), Metrics("a")
    items: list[Head | Segment | None] = [make_head("a"), *(make_segment(str(at)) for at in range(9))]
    asyncio.run(pushed(remote, metrics, items, queue=2))

    assert [b"7", b"8"] == [remote.files[entry.uri] for entry in remote.playlist.entries]
    assert 7 == metrics.value("push_dropped")


def test_an_outbox_keeps_what_the_rest_needs(
    make_head: Callable[[str], Head], make_segment: Callable[..., Segment]
) -> None:
    """Heads stay as long as a segment needs them, and what follows a hole says so."""
    dropped: list[int] = []
    box = Outbox(2, lambda: dropped.append(1))
    first, second = make_head("a"), make_head("b")
    for item in (first, *(Aired(make_segment(str(at)), at) for at in range(4)), second, Aired(make_segment("4"), 4)):
        box.put(item)
    box.put(Over())

    found = list(iter(box.get, None))
    assert [first, Aired(make_segment("3"), 3, broken=True), second, Aired(make_segment("4"), 4), Over()] == found
    assert 3 == len(dropped)


class Scripted:
    """A server at loopback that answers each request with the next of *answers*."""

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []
        self.server: asyncio.Server | None = None

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/x/"

    async def __aexit__(self, *_: object) -> None:
        assert self.server is not None
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        self.requests.append(head.split(b"\r\n")[0] + await reader.readexactly(length))
        status, _, rest = self.answers.pop(0).partition(b"\r\n")
        rest = rest if b"\r\n\r\n" in rest else rest + b"\r\n\r\n"
        writer.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\n" + rest)
        await writer.drain()
        writer.close()


EMPTY = b"\r\nContent-Length: 0"


def test_a_busy_origin_is_asked_again() -> None:
    """With the same bytes."""

    async def work() -> list[bytes]:
        server = Scripted(b"503 Busy" + EMPTY, b"201 Created" + EMPTY)
        async with server as base, Remote(base, attempts=3) as remote:
            await remote.put("s1.m4s", b"data", "video/iso.segment")
        return server.requests

    assert [b"PUT /x/s1.m4s HTTP/1.1data"] * 2 == asyncio.run(work())


def test_an_origin_that_says_no_is_asked_once() -> None:
    """With the address in the message, and what to look at."""

    async def work() -> tuple[PushError, int]:
        server = Scripted(b"403 Forbidden" + EMPTY)
        async with server as base, Remote(base, attempts=3) as remote:
            with pytest.raises(PushError) as caught:
                await remote.put("s1.m4s", b"data", "video/iso.segment")
        return caught.value, len(server.requests)

    error, asked = asyncio.run(work())
    assert (1, "answered 403") == (asked, error.message)
    assert error.hint is not None
    assert (error.place or "").endswith("/x/s1.m4s")


def test_a_redirect_is_not_followed() -> None:
    """The token would go along."""

    async def work() -> int:
        server = Scripted(b"302 Found\r\nLocation: http://127.0.0.1:1/" + EMPTY)
        async with server as base, Remote(base, token="t" * 8) as remote:
            with pytest.raises(PushError):
                await remote.put("s1.m4s", b"data", "video/iso.segment")
        return len(server.requests)

    assert 1 == asyncio.run(work())


def test_an_endless_answer_is_cut_off() -> None:
    """A playlist has a size."""

    async def work() -> PushError:
        server = Scripted(b"200 OK\r\nContent-Length: 10\r\n\r\n0123456789")
        async with server as base, Remote(base) as remote:
            with pytest.raises(PushError) as caught:
                await remote.get("index.m3u8", 4)
        return caught.value

    assert "more than 4 bytes" in asyncio.run(work()).message
