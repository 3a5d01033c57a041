"""The way to a Forgejo: one request, or the same one again where that may help.

The only module of releasing that imports the HTTP library. Pitfalls held here: the token goes to the server's own
origins and follows no redirect elsewhere; https is never left for http; answers are read undecoded and capped; a total
deadline ends what no time-out between two bytes would; neither token nor query of an address reaches an error.
"""

from __future__ import annotations

import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import httpx2
import stamina
from tuf.api.exceptions import SlowRetrievalError

from ec_closure.errors import EcError
from ec_fetch.budget import Budget
from ec_fetch.origin import origin_of
from ec_fetch.watchdog import Watchdog
from ec_release.backend.forgejo.answers import TRANSIENT, bare, date, refusal, retry_after
from ec_release.errors import AccessError, BackendError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from ec_release.backend.forgejo.upload import Form

_T = TypeVar("_T")
_MAX_ANSWER = 64 << 20
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds, and how often to try.

    *call* bounds one request with a short answer; *answer* is how long a server may think about an upload; *stall* how
    long nothing may move. A transfer may take *call* and what *min_speed* (bytes per second) grants for its length.
    *longest* is the longest wait that a server may ask for.
    """

    attempts: int = 6
    call: float = 120.0
    answer: float = 600.0
    stall: float = 60.0
    min_speed: int = 16 << 10
    window: float = 30.0
    longest: float = 300.0

    def transfer(self, length: int) -> float:
        """Return the seconds that *length* bytes may take."""
        return self.call + length / max(1, self.min_speed)


@dataclass(frozen=True)
class Answer:
    """What a server answered: *status*, *body*."""

    status: int
    body: bytes


class TemporaryError(Exception):
    """A failure after which the same request may succeed. *error* is what is told when it never does."""

    def __init__(self, error: BackendError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait = wait


class Http:
    """Speaks to a server. *token* is sent as ``Authorization: token …`` to *origins* (addresses) and to nobody else.

    *tls* replaces the system's certificate authorities. *before* is called before each request and with each part
    of a transfer: the publisher's lock is kept alive there.
    """

    def __init__(
        self, *, token: str | None, origins: Collection[str], patience: Patience, tls: ssl.SSLContext | None = None
    ) -> None:
        self._token = token
        self._origins = frozenset(origin_of(url) for url in origins)
        self.patience = patience
        self._tls = tls
        self._client: httpx2.Client | None = None
        self._offset = 0.0
        self.before: Callable[[], None] = _nothing

    def close(self) -> None:
        """Close open connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def knows(self, url: str) -> bool:
        """Tell whether *url* is of the server's own origins, to which the token is sent."""
        try:
            return origin_of(url) in self._origins
        except ValueError:
            return False

    def now(self) -> float:
        """Return the server's time in seconds since 1970, as far as its answers have told it."""
        return time.time() + self._offset

    def trying(self, work: Callable[[], _T]) -> _T:
        """Do *work* again while it raises `TemporaryError`, after growing pauses or those that the server asks for.

        Raises the `BackendError` of the last attempt.
        """
        caller = stamina.RetryingCaller(
            attempts=self.patience.attempts, timeout=None, wait_initial=0.5, wait_max=30.0, wait_jitter=1.0
        )
        try:
            return caller(_worth_while, work)
        except TemporaryError as error:
            raise error.error from error

    def call(self, method: str, url: str, body: bytes | None = None, *, expected: Collection[int]) -> Answer:
        """Make a request that may be made twice, and return its answer. Raises `BackendError`."""
        return self.trying(lambda: self.once(method, url, body, expected=expected))

    def once(self, method: str, url: str, body: bytes | None = None, *, expected: Collection[int]) -> Answer:
        """Make a request once. Raises `TemporaryError` where another try may help, else `BackendError`."""
        headers = {"content-type": "application/json"} if body is not None else {}
        with (
            self._failures(method, url),
            Watchdog(self.patience.call) as watchdog,
            self._open(method, url, headers, body, watchdog, read=self.patience.stall) as response,
        ):
            return self._answer(response, method, url, expected)

    def send(self, url: str, form: Form, *, expected: Collection[int]) -> Answer:
        """Send an upload once. Raises as `once` does, and `AssetError` as *form* does."""
        allowed = self.patience.transfer(form.length)
        budget = Budget(allowed, self.patience.min_speed, window=self.patience.window)

        def body() -> Iterator[bytes]:
            for chunk in form:
                budget.received(len(chunk))
                self.before()
                yield chunk

        with (
            self._failures("POST", url),
            Watchdog(allowed + self.patience.answer) as watchdog,
            self._open("POST", url, form.headers, body(), watchdog, read=self.patience.answer) as response,
        ):
            return self._answer(response, "POST", url, expected)

    @contextmanager
    def download(self, url: str, headers: Mapping[str, str], budget: Budget) -> Iterator[httpx2.Response]:
        """Yield the answer to a GET whose redirects were followed, each checked. Raises as `once` does."""
        trusted = True
        with self._failures("GET", url), Watchdog(budget.remaining()) as watchdog:
            for _ in range(_MAX_REDIRECTS + 1):
                with self._open(
                    "GET", url, headers, None, watchdog, read=self.patience.stall, trusted=trusted
                ) as response:
                    if response.status_code not in _REDIRECTS:
                        if response.status_code not in (httpx2.codes.OK, httpx2.codes.PARTIAL_CONTENT):
                            self._answer(response, "GET", url, ())
                        if response.headers.get("content-encoding", "identity").lower() != "identity":
                            raise BackendError("sent encoded although that was not asked for", place=bare(url))
                        yield response
                        return
                    following = _redirect(url, response.headers.get("location"))
                    # Once away from the server's origins the token stays away: the way back is not ours to judge.
                    trusted = trusted and origin_of(following) in self._origins
                    url = following
        raise BackendError(f"more than {_MAX_REDIRECTS} redirects", place=bare(url))

    @contextmanager
    def _open(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | Iterator[bytes] | None,
        watchdog: Watchdog,
        *,
        read: float,
        trusted: bool = True,
    ) -> Iterator[httpx2.Response]:
        self.before()
        ours = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "ec-release", "cache-control": "no-cache"}
        if self._token is not None and trusted and origin_of(url) in self._origins:
            ours["authorization"] = f"token {self._token}"
        with self._connection().stream(
            method,
            url,
            content=content,
            headers=ours | dict(headers),
            timeout=httpx2.Timeout(self.patience.stall, read=read),
            extensions={"trace": watchdog.trace},
        ) as response:
            told = date(response.headers.get("date"))
            if told is not None and origin_of(url) in self._origins:
                self._offset = told - time.time()
            yield response

    def _answer(self, response: httpx2.Response, method: str, url: str, expected: Collection[int]) -> Answer:
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > _MAX_ANSWER:
                raise BackendError(f"answers with more than {_MAX_ANSWER} bytes", place=_place(method, url))
        status = response.status_code
        if status in expected:
            return Answer(status, bytes(body))
        if status in _REDIRECTS:
            following = bare(self._hidden(response.headers.get("location", "")))
            raise BackendError(
                f"the server answers {status} and names {following}",
                place=_place(method, url),
                hint="the repository or its server has moved: name the new one with --server and --repository",
            )
        error = refusal(status, self._hidden(body.decode(errors="replace")).encode(), _place(method, url))
        if isinstance(error, AccessError) and self._token is None:
            without = "there is no token: name its file with --token-file, or set EC_RELEASE_TOKEN"
            error.hint = without if status == HTTPStatus.UNAUTHORIZED else f"{error.hint}; {without}"
        if status in TRANSIENT:
            wait = retry_after(response.headers, self.now())
            if wait is None or wait <= self.patience.longest:
                raise TemporaryError(error, wait)
            error.hint = f"the server asks to wait {wait:.0f} seconds; run the same command again after that"
        raise error

    def _hidden(self, text: str) -> str:
        """Return *text* without the token, should a server send it back."""
        return text.replace(self._token, "***") if self._token else text

    @contextmanager
    def _failures(self, method: str, url: str) -> Iterator[None]:
        """Turn what the HTTP library raises into a `TemporaryError` or a `BackendError`."""
        place = _place(method, url)
        hint = "run the same command again: it continues"
        try:
            yield
        except (EcError, TemporaryError):
            raise
        except SlowRetrievalError as error:
            raise TemporaryError(BackendError(f"too slow: {error}", place=place, hint=hint)) from error
        except httpx2.TimeoutException as error:
            raise TemporaryError(BackendError("no answer in time", place=place, hint=hint)) from error
        except (httpx2.NetworkError, httpx2.ProtocolError, httpx2.ProxyError) as error:
            if _is_stranger(error):
                raise BackendError(
                    "the server's certificate is not accepted",
                    place=place,
                    hint="a server with certificates of its own: name its authority with --ca-file",
                ) from error
            said = f"the connection broke: {self._hidden(str(error)) or type(error).__name__}"
            raise TemporaryError(BackendError(said, place=place, hint=hint)) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, ssl.SSLError, ValueError) as error:
            raise BackendError(self._hidden(str(error)) or type(error).__name__, place=place) from error

    def _connection(self) -> httpx2.Client:
        if self._client is None:
            self._client = httpx2.Client(
                verify=True if self._tls is None else self._tls,
                trust_env=False,
                follow_redirects=False,
                # A new connection for each request: the watchdog learns of connections when they are made.
                limits=httpx2.Limits(max_keepalive_connections=0),
            )
        return self._client


def _nothing() -> None:
    """Before there is a lock there is nothing to keep alive."""


def _worth_while(error: Exception) -> bool | float:
    if not isinstance(error, TemporaryError):
        return False
    return True if error.wait is None else error.wait


def _is_stranger(error: BaseException) -> bool:
    """Tell whether *error* comes of a certificate that does not verify, which no further attempt changes."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _place(method: str, url: str) -> str:
    return f"{method} {bare(url)}"


def _redirect(url: str, location: str | None) -> str:
    """Return the address that *location* names, seen from *url*; refuse what leaves the web or loses encryption."""
    if not location:
        raise BackendError("a redirect without an address", place=bare(url))
    following = str(httpx2.URL(url).join(location))
    before, after = origin_of(url)[0], origin_of(following)[0]
    if after not in {"http", "https"}:
        raise BackendError(f"redirects to {after}://, which is not followed", place=bare(url))
    if before == "https" and after == "http":
        raise BackendError("redirects from https to http, which is not followed", place=bare(url))
    return following
