"""The way to the bytes: ``file://`` and ``http(s)://``, with caps on time, size and redirects.

The only module that imports the HTTP library. It verifies nothing: that is TUF's part. Errors are
those that the TUF library asks of a fetcher; `ec_fetch.translate` turns them into ours.

Pitfalls held here: a token never follows a redirect to another host; https is never left for http;
redirects never reach files; answers are read undecoded, so that no decompression bomb fits into the
cap; proxies come from the settings only, never from the environment.
"""

from __future__ import annotations

import os
import ssl
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx2
import stamina
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

from ec_fetch.budget import WINDOW, Budget
from ec_fetch.origin import origin_of
from ec_fetch.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CHUNK = 1 << 16
_READ_TIMEOUT = 30.0
_MAX_REDIRECTS = 5
_ATTEMPTS = 6
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSIENT_STATUS = frozenset({429, 500, 502, 503, 504})
_ABSENT_STATUS = frozenset({403, 404})
_REPLACED = frozenset({"timestamp.json"})
"""Files that a publisher replaces by deleting and renaming: absent for a moment, so worth asking again."""


class TransientError(DownloadError):
    """A failure that may pass: asking again is worth while."""


class ReleaseFetcher(FetcherInterface):
    """Reads files and HTTP addresses for the TUF client.

    *token* is sent as ``Authorization: token …`` to *token_origin* (an address; its scheme, host and
    port count) and to nobody else. *deadline* (seconds) covers a whole download with its retries and
    redirects; where the length is signed, the time that *min_speed* (bytes per second) grants for it
    is added. *ca_file* replaces the system's certificate authorities. What is downloaded lies in *scratch*, without a
    name, until it is verified. *transport* replaces the network in tests.
    """

    def __init__(
        self,
        *,
        token: str | None = None,
        token_origin: str | None = None,
        proxy: str | None = None,
        ca_file: Path | None = None,
        deadline: float = 120.0,
        min_speed: int = 1024,
        scratch: Path | None = None,
        window: float = WINDOW,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._token = token
        self._token_origin = origin_of(token_origin) if token_origin else None
        self._deadline = deadline
        self._min_speed = min_speed
        self._scratch = scratch
        self._window = window
        self._clock = clock
        self._proxy = proxy
        self._ca_file = ca_file
        self._transport = transport
        self._http: httpx2.Client | None = None

    def close(self) -> None:
        """Close open connections. The fetcher stays usable."""
        if self._http is not None:
            self._http.close()
            self._http = None

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Yield a temporary file with what *url* holds, at most *max_length* bytes; asks again where that may help."""
        budget = self._budget(self._deadline + max_length / max(1, self._min_speed))
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            for attempt in self._attempts(url):
                with attempt:
                    file.seek(0)
                    file.truncate()
                    self._copy(url, max_length, budget, file)
            file.seek(0)
            yield file

    def download_bytes(self, url: str, max_length: int) -> bytes:
        """Return what *url* holds: metadata, whose length nobody has signed yet, so that the plain deadline holds."""
        budget = self._budget(self._deadline)
        with tempfile.SpooledTemporaryFile(max_size=1 << 20) as file:
            for attempt in self._attempts(url):
                with attempt:
                    file.seek(0)
                    file.truncate()
                    self._copy(url, max_length, budget, file)
            file.seek(0)
            return file.read()

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._chunks(url, self._budget(self._deadline))

    def _budget(self, deadline: float) -> Budget:
        return Budget(deadline, self._min_speed, clock=self._clock, window=self._window)

    def _attempts(self, url: str) -> Iterator[stamina.Attempt]:
        scheme = urlsplit(url).scheme
        replaced = PurePosixPath(urlsplit(url).path).name in _REPLACED

        def worth_while(error: Exception) -> bool:
            if scheme == "file":
                return False
            if isinstance(error, DownloadHTTPError):
                return error.status_code in _TRANSIENT_STATUS or (replaced and error.status_code in _ABSENT_STATUS)
            return isinstance(error, TransientError)

        return iter(
            stamina.retry_context(
                on=worth_while,
                attempts=_ATTEMPTS,
                timeout=self._deadline,
                wait_initial=0.2,
                wait_max=5.0,
                wait_jitter=0.5,
            )
        )

    def _copy(self, url: str, max_length: int, budget: Budget, file: IO[bytes]) -> None:
        total = 0
        for chunk in self._chunks(url, budget):
            total += len(chunk)
            if total > max_length:
                raise DownloadLengthMismatchError(f"{url}: more than the {max_length} bytes that are accepted")
            file.write(chunk)

    def _chunks(self, url: str, budget: Budget) -> Iterator[bytes]:
        scheme = urlsplit(url).scheme.lower()
        if scheme == "file":
            yield from _read_file(url)
        elif scheme in {"http", "https"}:
            yield from self._read_http(url, budget)
        else:
            raise DownloadError(f"{url}: addresses start with file://, http:// or https://")

    def _read_http(self, url: str, budget: Budget) -> Iterator[bytes]:
        try:
            with Watchdog(budget.remaining()) as watchdog, self._open(url, budget, watchdog) as response:
                budget.begin()
                for chunk in response.iter_raw():
                    budget.received(len(chunk))
                    yield chunk
        except httpx2.TimeoutException as error:
            budget.remaining()
            raise TransientError(f"{url}: no answer in time") from error
        except (httpx2.NetworkError, httpx2.ProtocolError, httpx2.ProxyError) as error:
            # The watchdog's bite looks like a lost connection.
            budget.remaining()
            raise TransientError(f"{url}: {str(error) or type(error).__name__}") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
            raise DownloadError(f"{url}: {str(error) or type(error).__name__}") from error
        except SlowRetrievalError as error:
            raise SlowRetrievalError(f"{url}: {error}") from error

    @contextmanager
    def _open(self, url: str, budget: Budget, watchdog: Watchdog) -> Iterator[httpx2.Response]:
        """Follow redirects by hand: each step is checked, and the token stays with its origin."""
        trusted = self._token is not None and origin_of(url) == self._token_origin
        for _ in range(_MAX_REDIRECTS + 1):
            with self._client().stream(
                "GET",
                url,
                headers=self._headers(trusted=trusted),
                timeout=min(budget.remaining(), _READ_TIMEOUT),
                extensions={"trace": watchdog.trace},
            ) as response:
                if response.status_code in _REDIRECTS:
                    following = _redirect(url, response.headers.get("location"))
                    # Once away from its origin, the token stays away: the way back is not ours to judge.
                    trusted = trusted and origin_of(following) == origin_of(url)
                    url = following
                    continue
                if response.status_code != httpx2.codes.OK:
                    raise DownloadHTTPError(f"{url}: HTTP status {response.status_code}", response.status_code)
                if response.headers.get("content-encoding", "identity").lower() != "identity":
                    raise DownloadError(f"{url}: sent encoded although that was not asked for")
                yield response
                return
        raise DownloadError(f"{url}: more than {_MAX_REDIRECTS} redirects")

    def _headers(self, *, trusted: bool) -> dict[str, str]:
        headers = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "ec-fetch"}
        if trusted:
            headers["authorization"] = f"token {self._token}"
        return headers

    def _client(self) -> httpx2.Client:
        if self._http is None:
            self._http = httpx2.Client(
                verify=ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True,
                trust_env=False,
                follow_redirects=False,
                proxy=self._proxy,
                transport=self._transport,
                # A new connection for each request: the watchdog learns of connections when they are made.
                limits=httpx2.Limits(max_keepalive_connections=0),
            )
        return self._http


def _redirect(url: str, location: str | None) -> str:
    """Return the address that *location* names, seen from *url*; refuse what leaves the web or loses encryption."""
    if not location:
        raise DownloadError(f"{url}: a redirect without an address")
    following = str(httpx2.URL(url).join(location))
    before, after = origin_of(url)[0], origin_of(following)[0]
    if after not in {"http", "https"}:
        raise DownloadError(f"{url}: redirects to {after}://, which is not followed")
    if before == "https" and after == "http":
        raise DownloadError(f"{url}: redirects from https to http, which is not followed")
    return following


def _read_file(url: str) -> Iterator[bytes]:
    """Yield a regular file; an absent one is what a server calls 404, so that TUF's search for roots ends."""
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:
        raise DownloadError(f"{url}: a file address names no host")
    path = url2pathname(parts.path)
    try:
        # Non-blocking: a FIFO where a file is expected must not hang the verifier.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DownloadHTTPError(f"{path}: no such file", 404) from error
    except PermissionError as error:
        raise DownloadHTTPError(f"{path}: may not be read", 403) from error
    except (OSError, ValueError) as error:
        raise DownloadError(f"{path}: {error}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DownloadError(f"{path}: is no regular file")
        try:
            while chunk := file.read(_CHUNK):
                yield chunk
        except OSError as error:
            raise DownloadError(f"{path}: {error.strerror}") from error
