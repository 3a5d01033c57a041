"""Sending one file of an image: whole or a range of it, in pieces, to whoever goes on reading."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, BinaryIO

import structlog
from starlette.responses import PlainTextResponse, Response

from ec_netboot.errors import ImageError, StateError
from ec_netboot.serving.ranges import Span, UnsatisfiableError, parse

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from ec_netboot.release import FileName
    from ec_netboot.serving.metrics import Metrics
    from ec_netboot.staged import Staged

_CHUNK = 1 << 20
_log = structlog.get_logger()


class Downloads:
    """Answers for files: at most *limit* at a time."""

    def __init__(self, metrics: Metrics, *, limit: int) -> None:
        self._metrics = metrics
        self._limit = limit

    def answer(self, request: Request, found: Staged, name: FileName) -> Response:
        """Return the answer to *request* for the file *name* of a release."""
        file = found.release.files[name]
        tag = f'"{file.sha256}"'
        headers = {
            "accept-ranges": "bytes",
            "etag": tag,
            # The address names the bytes: they never change.
            "cache-control": "public, max-age=31536000, immutable",
            "content-type": "application/octet-stream",
        }
        if matches(request.headers.get("if-none-match"), tag):
            return Response(status_code=304, headers=headers)
        asked = request.headers.get("range")
        if_range = request.headers.get("if-range")
        try:
            span = parse(asked, file.size) if if_range in (None, tag) else None
        except UnsatisfiableError:
            return Response(status_code=416, headers={**headers, "content-range": f"bytes */{file.size}"})
        status = 200 if span is None else 206
        if span is not None:
            headers["content-range"] = f"bytes {span.start}-{span.end - 1}/{file.size}"
        span = span or Span(0, file.size)
        headers["content-length"] = str(span.end - span.start)
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        if self._metrics.downloads >= self._limit:
            return PlainTextResponse("too many downloads\n", 503, {"retry-after": "5"})
        try:
            stream = found.open(name)
        except (ImageError, StateError) as error:
            _log.error("not served", error=str(error))
            return PlainTextResponse("this release was damaged\n", 503)
        return _Sending(self._metrics, stream, span, status, headers)


class _Sending(Response):
    """Sends *span* of *stream*, and closes it."""

    def __init__(self, metrics: Metrics, stream: BinaryIO, span: Span, status: int, headers: dict[str, str]) -> None:
        super().__init__(status_code=status, headers=headers)
        self._metrics = metrics
        self._stream = stream
        self._span = span

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the protocol's
        """Send it. Raises `ImageError` when the file became shorter: the length was announced, and the client sees."""
        # What is sent to a client that has left goes nowhere, without a word: somebody must listen for that.
        gone = asyncio.create_task(_left(receive))
        self._metrics.downloads += 1
        try:
            with self._stream as stream:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                stream.seek(self._span.start)
                left = self._span.end - self._span.start
                while left and not gone.done():
                    piece = await asyncio.to_thread(stream.read, min(left, _CHUNK))
                    if not piece:
                        raise ImageError("became shorter while it was sent", place=str(stream.name))
                    left -= len(piece)
                    await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
                    self._metrics.bytes += len(piece)
        finally:
            self._metrics.downloads -= 1
            gone.cancel()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def matches(header: str | None, tag: str) -> bool:
    """Tell whether `If-None-Match` names *tag*, or anything."""
    if header is None:
        return False
    return header.strip() == "*" or any(one.strip().removeprefix("W/") == tag for one in header.split(","))
