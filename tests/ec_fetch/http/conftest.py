"""A server on the loopback that misbehaves when told to."""

from __future__ import annotations

import http.server
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Server(http.server.ThreadingHTTPServer):
    """Serves *tree* on the loopback, and keeps what it was asked.

    *answers* maps a path to a function that answers instead; *seen* holds (path, headers) of each request.
    """

    daemon_threads = True

    def __init__(self, tree: Path) -> None:
        self.tree = tree
        self.answers: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def url(self, path: str) -> str:
        """Return the address of *path*."""
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that leave: some tests make them leave."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def __init__(self, request: Any, address: Any, server: Server) -> None:
        super().__init__(request, address, server, directory=str(server.tree))

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        answer = self.server.answers.get(self.path)
        if answer:
            answer(self)
        else:
            super().do_GET()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(tree: Path) -> Iterator[Server]:
    """Run a server until the block ends."""
    server = Server(tree)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Give a server of the directory `tree`."""
    (tmp_path / "tree").mkdir(exist_ok=True)
    with serving(tmp_path / "tree") as made:
        yield made


@pytest.fixture
def other_server(tmp_path: Path) -> Iterator[Server]:
    """Give a second server, another origin, of the directory `other`."""
    (tmp_path / "other").mkdir(exist_ok=True)
    with serving(tmp_path / "other") as made:
        yield made
