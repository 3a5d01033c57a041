"""A dashboard on loopback that answers as it is told, and remembers what it was sent."""

from __future__ import annotations

import http.server
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import stamina

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Request:
    """What came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers with *answers* in turn (status, headers, body), then with 200. *requests* is what came in."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def say(self, *statuses: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Receiver:
        """Answer the next requests with *statuses*."""
        self.answers += [(status, headers or {}, body) for status in statuses]
        return self

    @property
    def paths(self) -> list[str]:
        """What was asked for."""
        return [request.path for request in self.requests]

    @property
    def bodies(self) -> list[bytes]:
        """What was sent."""
        return [request.body for request in self.requests]


@pytest.fixture
def receivers() -> Iterator[Callable[[], Receiver]]:
    """Give a function that starts a receiver."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start() -> Receiver:
        receiver = Receiver()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                receiver.requests.append(Request(self.path, {**self.headers}, body))
                status, headers, answer = receiver.answers.pop(0) if receiver.answers else (200, {}, b"{}")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST  # noqa: N815 - the name that the base class asks for

            def log_message(self, *_: Any) -> None:
                return

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
        return receiver

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver(receivers: Callable[[], Receiver]) -> Receiver:
    """Give a receiver that takes everything."""
    return receivers()


@pytest.fixture
def nowhere() -> str:
    """Give an address at which nobody listens."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Retry without waiting, four times as the program does."""
    with stamina.set_testing(True, attempts=4, cap=True):
        yield


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave flushing to the disk out: only a power cut would show it."""
    monkeypatch.setattr("os.fsync", bool)
