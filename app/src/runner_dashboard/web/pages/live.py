"""The stream by which pages stay as the fleet is: the browser is told that something changed, and loads it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

from runner_dashboard.events.stream import MOST_STREAMS, Pace, stream
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import BusyError
from runner_dashboard.web.spec import Spec

if TYPE_CHECKING:
    from starlette.responses import Response

    from runner_dashboard.web.call import Call

_MAX_DIGITS = 18


def live(call: Call) -> Response:
    """Answer with a stream of changes. Raises `BusyError` when too many watch."""
    if call.services.bus.watching >= MOST_STREAMS:
        raise BusyError("too many browsers watch at one time", hint="this page is loaded again by hand")
    # `X-Accel-Buffering` tells nginx not to wait until the answer is whole.
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
    return StreamingResponse(
        stream(call.services.bus, _last(call), Pace()), headers=headers, media_type="text/event-stream"
    )


def _last(call: Call) -> int | None:
    text = call.headers.get("last-event-id", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


ROUTES = (Spec("GET", "/live", live, Role.VIEWER, "read", "page", "What changes, as it changes."),)
