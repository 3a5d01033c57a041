"""Reading one address back: what was cut is continued where it was cut."""

from __future__ import annotations

from contextlib import ExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING

from ec_fetch.budget import Budget
from ec_release.backend.forgejo.answers import bare
from ec_release.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_release.backend.forgejo.http import Http

_CHUNK = 1 << 20


class Download:
    """The bytes at *url*, of which *length* are expected. Iterate once. Verifies nothing: whoever reads hashes.

    Iterating raises `BackendError`. Attempts count from the last byte that came, not from the first.
    """

    def __init__(self, http: Http, url: str, length: int) -> None:
        self._http = http
        self._url = url
        patience = http.patience
        self._budget = Budget(patience.transfer(length), patience.min_speed, window=patience.window)
        self._open = ExitStack()
        self._parts: Iterator[bytes] | None = None
        self._done = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes."""
        with self._open:
            while chunk := self._http.trying(self._read):
                yield chunk

    def _read(self) -> bytes:
        try:
            if self._parts is None:
                self._parts = self._continued()
            chunk = next(self._parts, b"")
        except BaseException:
            self._parts = None
            self._open.close()
            raise
        self._done += len(chunk)
        return chunk

    def _continued(self) -> Iterator[bytes]:
        """Yield what follows the bytes that are here, from a new answer."""
        headers = {"range": f"bytes={self._done}-"} if self._done else {}
        with self._http.download(self._url, headers, self._budget) as response:
            skip = self._skipped(response.status_code, response.headers.get("content-range", ""))
            self._budget.begin()
            for chunk in response.iter_raw(_CHUNK):
                self._http.before()
                self._budget.received(len(chunk))
                rest = chunk[skip:]
                skip -= len(chunk) - len(rest)
                if rest:
                    yield rest

    def _skipped(self, status: int, content_range: str) -> int:
        """Return how many bytes of the answer are here already: all of them when the server sends everything again."""
        if status == HTTPStatus.OK:
            return self._done
        if not content_range.startswith(f"bytes {self._done}-"):
            raise BackendError("answers with another part than was asked for", place=bare(self._url))
        return 0
