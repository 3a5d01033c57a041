"""Answers that are larger than what a connection should have to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_PIECE = 1 << 16


class MediaResponse(Response):
    """A body that is sent in pieces, each when the one before has left.

    Sent at once, a segment would be copied for every viewer whose line is slow: a thousand would need a thousand
    times its size.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - as ASGI calls it
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for at in range(0, max(1, len(self.body)), _PIECE):
            more = at + _PIECE < len(self.body)
            await send({"type": "http.response.body", "body": bytes(self.body[at : at + _PIECE]), "more_body": more})
