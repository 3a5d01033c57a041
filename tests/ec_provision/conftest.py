"""What the tests of provisioning share: machines below a directory, and servers that say what they are told to say."""

from __future__ import annotations

import http.server
import threading
from typing import TYPE_CHECKING, Any

import pytest
import stamina
import structlog
import trustme

from ec_provision import main

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Machine:
    """A machine below *root*, whose places are filled by tests, and whose command line is typed."""

    def __init__(self, root: Path, credentials: Path) -> None:
        self.root = root
        self.credentials = credentials
        self.state = root / "run/every-channel"

    def put(self, place: str, text: str | bytes, mode: int = 0o600) -> Path:
        """Write what lies at a place: `credential`, `partition`, `file` or `command line`."""
        file = {
            "credential": self.credentials / "node.toml",
            "partition": self.root / "run/ec-node-partition/node.toml",
            "file": self.root / "var/lib/every-channel/node.toml",
            "command line": self.root / "proc/cmdline",
        }[place]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        file.chmod(mode)
        return file

    def run(self, *arguments: str) -> int:
        """Run the command on this machine."""
        return main.run([*arguments, "--root", str(self.root)])

    def tree(self) -> dict[str, tuple[str, bytes]]:
        """Return modes and contents of everything that can be reached below its state, links followed."""
        found = {}
        for name in ("node.json", "ssh", "broadcasts", "dashboard.token"):
            path = self.state / name
            for file in [path, *path.rglob("*")] if path.exists() else []:
                mode = f"{file.stat().st_mode & 0o7777:04o}"
                found[str(file.relative_to(self.state))] = (mode, file.read_bytes() if file.is_file() else b"")
        return found


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Give a machine on which nothing is."""
    made = Machine(tmp_path / "root", tmp_path / "credentials")
    made.root.mkdir()
    made.credentials.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(made.credentials))
    return made


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    """Ask again without waiting, and leave no logger behind that writes to a stream of a test that is over."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield
    structlog.reset_defaults()


class Server(http.server.ThreadingHTTPServer):
    """A server on the loopback: *answers* maps paths to what answers; *seen* holds (path, headers) of requests."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        self._scheme = "https" if context else "http"
        super().__init__(("127.0.0.1", 0), _Handler)
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True)

    def url(self, path: str = "/node.toml") -> str:
        """Return the address of *path*."""
        return f"{self._scheme}://localhost:{self.server_port}{path}"

    def say(self, data: bytes, path: str = "/node.toml", *, status: int = 200, **headers: str) -> str:
        """Answer *path* with *data*, and return its address."""

        def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("Content-Length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        self.answers[path] = answer
        return self.url(path)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing about clients that leave: some tests make them leave."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
        else:
            answer(self)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


def _serving(context: ssl.SSLContext | None) -> Iterator[Server]:
    server = Server(context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def plain_server() -> Iterator[Server]:
    """Give a server that speaks http."""
    yield from _serving(None)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Give a certificate authority."""
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Give a server that speaks https, and whose authority is among the system's."""
    import ssl

    authority.cert_pem.write_to_path(str(tmp_path / "authorities.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    yield from _serving(context)
