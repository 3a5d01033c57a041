"""A web server on loopback, standing in for a release server and a binary cache: both are plain files."""

from __future__ import annotations

import contextlib
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; held back, the second waits for the first's acknowledgement.
    disable_nagle_algorithm = True

    def __init__(self, *args: object, site: Server) -> None:
        self.site = site
        super().__init__(*args, directory=str(site.directory))  # type: ignore[arg-type]  # passed on as they came

    def do_GET(self) -> None:
        """Answer: as somebody arranged it, else with the file."""
        if token := self.headers.get("authorization"):
            self.site.tokens.append(token)
        answer = self.site.answers.get(self.path)
        if answer is None:
            super().do_GET()
            return
        self.log_request()
        with contextlib.suppress(OSError):  # who asked has left
            answer(self)
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002 - as inherited
        self.site.asked.append(f"{code} {self.path}")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        """Say nothing: what was asked is remembered, errors are the client's to report."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of errors, but not of clients that left while they were served."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Server:
    """Serves *directory* until closed.

    *asked* remembers every request as ``<status> <path>``, *tokens* who said who they are. *answers* replaces the
    answer to a path.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self.answers: dict[str, Callable[[SimpleHTTPRequestHandler], None]] = {}
        handler = partial(_Handler, site=self)
        self._server = _Listener(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
