"""Reading one address back: what was cut is continued where it was cut."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from ec_fetch.budget import Budget
from ec_release.backend.forgejo.answers import bare
from ec_release.backend.forgejo.http import TemporaryError
from ec_release.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

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
        self._parts: Generator[bytes, None, None] | None = None
        self._done = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes."""
        try:
            while chunk := self._http.trying(self._read):
                yield chunk
        finally:
            self._close()

    def _close(self) -> None:
        if self._parts is not None:
            self._parts.close()
            self._parts = None

    def _read(self) -> bytes:
        """Return the next bytes, as many as are handed on at once; nothing at the end."""
        gathered = bytearray()
        try:
            if self._parts is None:
                self._parts = self._continued()
            while len(gathered) < _CHUNK and (part := next(self._parts, b"")):
                gathered += part
        except TemporaryError:
            self._close()
            # What came before the failure counts: the next call continues behind it.
            if not gathered:
                raise
        self._done += len(gathered)
        return bytes(gathered)

    def _continued(self) -> Generator[bytes, None, None]:
        """Yield what follows the bytes that are here, from a new answer."""
        headers = {"range": f"bytes={self._done}-"} if self._done else {}
        with self._http.download(self._url, headers, self._budget) as response:
            skip = self._skipped(response.status_code, response.headers.get("content-range", ""))
            self._budget.begin()
            for chunk in response.iter_raw():
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
