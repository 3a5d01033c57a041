"""The origin's server on loopback, and clients that hold others up, or speak no proper HTTP."""

from __future__ import annotations

import asyncio
import socket
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from ec_node import main
from ec_node.publish import connection
from ec_node.publish.answer import MediaResponse
from ec_node.publish.server import Server, listen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGE = 64 << 20


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer with more than any buffer takes, or with a word."""
    await MediaResponse(bytes(LARGE) if scope["path"] == "/large" else b"word")(scope, receive, send)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the port of a server that takes two connections and has little patience."""
    monkeypatch.setattr(connection, "HEAD", 0.2)
    monkeypatch.setattr(connection, "STALL", 0.2)
    opened = listen("::", 0)
    server = Server(app, [opened], connections=2)
    thread = Thread(target=lambda: asyncio.run(server.run()))
    thread.start()
    yield opened.getsockname()[1]
    server.stop()
    thread.join()


def connected(port: int, said: bytes) -> socket.socket:
    """Return a connection over which something was *said*."""
    made = socket.create_connection(("127.0.0.1", port), timeout=20)
    made.sendall(said)
    return made


def heard(made: socket.socket) -> bytes:
    """Return all that comes until the connection is closed."""
    with made, made.makefile("rb") as stream:
        return stream.read()


ASKED = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("said", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_who_never_finishes_asking_keeps_nobody_out(port: int, said: bytes) -> None:
    """A few hundred of them would else take all connections, for ever, with a byte each."""
    idle = [connected(port, said) for _ in range(2)]

    assert all(b"400" not in heard(one) for one in idle)
    assert heard(connected(port, ASKED)).endswith(b"word")


def test_who_does_not_read_is_cut_off(port: int) -> None:
    """What was not read is not waited for."""
    made = connected(port, ASKED.replace(b" / ", b" /large "))
    made.recv(1)
    answers = (heard(connected(port, ASKED)) for _ in range(100_000))

    assert b"HTTP/1.1 503 " in next(answers)
    assert any(one.endswith(b"word") for one in answers)
    assert len(heard(made)) < LARGE


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"\x16\x03\x01\x00\xff" * 10,
    ],
)
def test_a_request_that_two_servers_could_read_differently_is_refused(port: int, said: bytes) -> None:
    """And with it what would follow on the same connection."""
    assert heard(connected(port, said)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(("more", "code"), [("--port=99999", 2), ("--address=192.0.2.1", 3)])
def test_an_archive_that_cannot_be_served_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: str, code: int
) -> None:
    """In one line, with the exit code of every command."""
    assert code == main.run(["archive", "replay", "--directory", str(tmp_path), more])
    assert "  hint: " in capsys.readouterr().err
