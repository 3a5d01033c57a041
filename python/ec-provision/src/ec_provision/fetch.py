"""node.toml from the address of the kernel's command line: the only module that speaks HTTP.

The system's certificate authorities decide whom to believe; the environment has no say, neither about proxies nor
about anything else. Nothing of an answer is decoded, redirects stay with https, and one deadline covers name
resolution, retries and servers that send a byte now and then.
"""

from __future__ import annotations

import hashlib
import signal
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import stamina

from ec_provision.errors import FetchError, PinError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_provision.command_line import Address

_READ_TIMEOUT = 15.0
_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "ec-provision"}


class _TemporaryError(Exception):
    """Worth another try."""


class _LateError(Exception):
    """The deadline passed."""


def fetch(address: Address, *, limit: int, deadline: float) -> bytes:
    """Return what *address* holds, at most *limit* bytes, within *deadline* seconds. Call it in the main thread.

    Asks again as long as there is time: links come up, names get resolved and clocks get set while a node boots.
    Raises `FetchError`, and `PinError` when the bytes are not the ones whose SHA-256 is pinned.
    """
    place = address.shown
    try:
        with _within(deadline):
            data = _insist(address.url, limit, deadline)
    except _LateError:
        raise FetchError(f"not fetched within {deadline:g} seconds", place=place, hint=_HINT) from None
    except (_TemporaryError, httpx2.HTTPError, httpx2.InvalidURL, ValueError, OSError) as error:
        raise FetchError(str(error) or type(error).__name__, place=place, hint=_HINT) from error
    if address.sha256 and (found := hashlib.sha256(data).hexdigest()) != address.sha256:
        raise PinError(f"has the SHA-256 {found}, not the one that is pinned", place=place)
    return data


_HINT = "nothing was changed; `systemctl restart ec-provision` tries again"


def _insist(url: str, limit: int, deadline: float) -> bytes:
    # Certificates are among what is worth another try: they are not valid yet for a clock that nobody has set.
    again = (_TemporaryError, httpx2.TransportError)
    data = b""
    for attempt in stamina.retry_context(
        on=again, attempts=None, timeout=deadline, wait_initial=0.5, wait_max=5.0, wait_jitter=0.5
    ):
        with attempt:
            data = _get(url, limit)
    return data


def _get(url: str, limit: int) -> bytes:
    with httpx2.Client(
        verify=ssl.create_default_context(), trust_env=False, follow_redirects=False, timeout=_READ_TIMEOUT
    ) as client:
        for _ in range(_MAX_REDIRECTS + 1):
            with client.stream("GET", url, headers=_HEADERS) as response:
                if response.status_code in _REDIRECTS:
                    url = _following(url, response.headers.get("location", ""))
                    continue
                return _body(response, limit)
    raise FetchError(f"more than {_MAX_REDIRECTS} redirects", place=url)


def _following(url: str, location: str) -> str:
    following = httpx2.URL(url).join(location)
    if not location or following.scheme != "https":
        raise FetchError("redirects to something that is not https, which is not followed", place=url)
    return str(following)


def _body(response: httpx2.Response, limit: int) -> bytes:
    if response.status_code in _TRY_AGAIN:
        raise _TemporaryError(f"answered {response.status_code}")
    place = str(response.url).partition("?")[0]
    if response.status_code != httpx2.codes.OK:
        raise FetchError(f"answered {response.status_code}", place=place, hint=_HINT)
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError("sent it encoded although that was not asked for", place=place)
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > limit:
            raise FetchError(f"more than the {limit} bytes that are accepted", place=place)
    return bytes(data)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise `_LateError` in the block when *seconds* have passed, whatever it waits for."""

    def ring(*_: object) -> None:
        raise _LateError

    before = signal.signal(signal.SIGALRM, ring)
    # It rings again: an exception in a finaliser would be lost.
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
