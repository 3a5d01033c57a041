"""Data without end, and data without haste."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from tuf.api.exceptions import (
    DownloadLengthMismatchError,
    SlowRetrievalError,
)

from ec_fetch.errors import MetadataError, SlowError
from ec_fetch.fetcher import ReleaseFetcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

LIMIT = 1 << 20


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def scripted(answer: Callable[[httpx2.Request], httpx2.Response], **settings: Any) -> ReleaseFetcher:
    """Return a fetcher whose network is *answer*."""
    return ReleaseFetcher(transport=httpx2.MockTransport(answer), **settings)


def endless(clock: Clock | None = None, seconds: float = 0.0, size: int = 1 << 16) -> Iterator[bytes]:
    """Yield bytes for ever, and let *seconds* pass before each piece."""
    while True:
        if clock:
            clock.now += seconds
        yield b"x" * size


def test_endless_data_end_at_the_cap() -> None:
    """A server that never stops is left at the first byte too many."""
    sent = []

    def body() -> Iterator[bytes]:
        for piece in endless():
            sent.append(len(piece))
            yield piece

    with pytest.raises(DownloadLengthMismatchError):
        scripted(lambda _: httpx2.Response(200, content=body())).download_bytes("https://host/timestamp.json", LIMIT)
    assert sum(sent) <= LIMIT + (1 << 16)


def test_slow_data_end_at_the_minimum_speed() -> None:
    """A byte every two seconds, for ever: left after one window."""
    clock = Clock()
    fetcher = scripted(lambda _: httpx2.Response(200, content=endless(clock, 2, 1)), clock=clock, deadline=9999)
    with pytest.raises(SlowRetrievalError, match="bytes per second"):
        fetcher.download_bytes("https://host/x.json", LIMIT)
    assert clock.now <= 1000 + 20


def test_fast_enough_data_end_at_the_deadline() -> None:
    """Just above the minimum speed, but never done: left at the deadline."""
    clock = Clock()
    fetcher = scripted(lambda _: httpx2.Response(200, content=endless(clock, 1, 2000)), clock=clock, deadline=60)
    with pytest.raises(SlowRetrievalError, match="60 seconds"):
        fetcher.download_bytes("https://host/x.json", LIMIT)


def test_a_slow_line_gets_the_time_that_the_minimum_speed_grants() -> None:
    """A large signed target on a slow line is no attack: its length is signed, so it may take its time."""
    clock = Clock()

    def body() -> Iterator[bytes]:
        for _ in range(300):
            clock.now += 1
            yield b"x" * 2000

    fetcher = scripted(lambda _: httpx2.Response(200, content=body()), clock=clock, deadline=60)
    with fetcher.download_file("https://host/disk.img", 600_000) as file:
        assert len(file.read()) == 600_000


def test_a_header_that_never_ends_is_cut_at_the_deadline() -> None:
    """One header byte now and then trips no socket's time-out; the watchdog bites."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        enough, waited = threading.Event(), threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                    # Far beyond the deadline, but not for ever: who waits fails this test and does not hang it.
                    for _ in range(400):
                        if enough.wait(0.01):
                            break
                        connection.sendall(b"x")
                    else:
                        waited.set()
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(SlowRetrievalError):
                ReleaseFetcher(deadline=0.2).download_bytes(
                    f"http://127.0.0.1:{listener.getsockname()[1]}/x.json", LIMIT
                )
        finally:
            enough.set()
            thread.join()
    assert not waited.is_set()


def test_endless_metadata_are_a_finding_about_metadata(world: Any, server: Any) -> None:
    """An attacker who answers for ever is named as what he is."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            return

    server.answers["/download/trust/timestamp.json"] = answer
    with pytest.raises(MetadataError):
        world.client(metadata_base=server.url("/download/trust/"), target_base=server.url("/download/")).refresh()


def test_slow_metadata_are_a_finding_about_the_line(world: Any) -> None:
    """Slow retrieval ends in an error of transport that says so."""
    clock = Clock()
    base = "https://host/download/"
    fetcher = scripted(lambda _: httpx2.Response(200, content=endless(clock, 2, 1)), clock=clock)
    with pytest.raises(SlowError):
        world.client(metadata_base=f"{base}trust/", target_base=base, fetcher=fetcher).refresh()
