"""The one module that speaks HTTP as a client: sending to another origin, and following a playlist."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Self

import httpx2
import stamina

from ec_closure.decoding import excerpt
from ec_node.errors import ConfigError, PushError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_AGENT = "ec-node"


class _TemporaryError(Exception):
    """Worth another try."""


class Remote:
    """An origin elsewhere: *base* ends with a slash. Connections are kept; redirects are not followed.

    *timeout* in seconds is for each step of a request, *attempts* for each file; the environment has no say.
    """

    def __init__(
        self,
        base: str,
        *,
        token: str | None = None,
        timeout: float = 10,
        attempts: int = 5,
        ca_file: Path | None = None,
    ) -> None:
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._base = base
        self._attempts = attempts
        self._client = httpx2.AsyncClient(
            timeout=timeout,
            headers=headers,
            trust_env=False,
            follow_redirects=False,
            verify=True if ca_file is None else _tls(ca_file),
        )

    async def __aenter__(self) -> Self:
        """Return this."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def put(self, name: str, data: bytes, media_type: str) -> None:
        """Send *data* under *name*, several times if need be. Raises `PushError`."""
        place = self._base + name
        status = 0
        try:
            async for attempt in stamina.retry_context(
                on=(_TemporaryError, httpx2.TransportError), attempts=self._attempts, wait_initial=0.2, wait_max=5
            ):
                with attempt:
                    answer = await self._client.put(place, content=data, headers={"Content-Type": media_type})
                    status = _lasting(answer.status_code)
        except (_TemporaryError, httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise PushError(excerpt(str(error)) or type(error).__name__, place=place) from error
        if not 200 <= status < 300:  # noqa: PLR2004 - as HTTP counts
            raise PushError(f"answered {status}", place=place, hint="does it allow PUT there, with this token?")

    async def delete(self, name: str) -> None:
        """Ask for *name* to be removed, once. Whether it was is the other origin's business."""
        try:
            await self._client.delete(self._base + name)
        except (httpx2.HTTPError, OSError):
            return

    async def get(self, address: str, limit: int) -> bytes:
        """Return what is at *address*, relative to the base, of *limit* bytes at most. Raises `PushError`."""
        place = str(httpx2.URL(self._base).join(address))
        found = bytearray()
        status = 0
        try:
            async for attempt in stamina.retry_context(
                on=(_TemporaryError, httpx2.TransportError), attempts=self._attempts, wait_initial=0.2, wait_max=5
            ):
                with attempt:
                    found.clear()
                    async with self._client.stream("GET", place) as answer:
                        status = _lasting(answer.status_code)
                        async for chunk in answer.aiter_raw():
                            found += chunk
                            if len(found) > limit:
                                break
        except (_TemporaryError, httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise PushError(excerpt(str(error)) or type(error).__name__, place=place) from error
        if status != 200:  # noqa: PLR2004 - as HTTP counts
            raise PushError(f"answered {status}", place=place)
        if len(found) > limit:
            raise PushError(f"sends more than {limit} bytes", place=place)
        return bytes(found)


def _lasting(status: int) -> int:
    """Return *status*, unless it is worth another try. Raises `_TemporaryError`."""
    if status in _TRY_AGAIN:
        raise _TemporaryError(f"answered {status}")
    return status


def _tls(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # also what is no certificate
        raise ConfigError(
            f"push.ca_file cannot be used: {error.strerror or error}",
            place=str(ca_file),
            hint="certificates in PEM form",
        ) from error
