"""Files that browsers load: read when the program starts, addressed by their content, cached for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.responses import Response

from runner_dashboard.refusals import NotFoundError

if TYPE_CHECKING:
    from runner_dashboard.web.call import Call

_TYPES = {
    "style.css": "text/css",
    "icon.svg": "image/svg+xml",
    "live.js": "text/javascript",
    "passkeys.js": "text/javascript",
}
_DIGITS = 16


@cache
def _content(name: str) -> tuple[bytes, str]:
    data = files("runner_dashboard.web").joinpath("static", name).read_bytes()
    return data, hashlib.sha256(data).hexdigest()[:_DIGITS]


def address(name: str) -> str:
    """Return where the file *name* is served."""
    return f"/static/{_content(name)[1]}/{name}"


def serve(call: Call) -> Response:
    """Answer with a file. Raises `NotFoundError`, also for content that this version does not have."""
    name = call.params["name"]
    if name not in _TYPES or _content(name)[1] != call.params["digest"]:
        raise NotFoundError("no such file")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(_content(name)[0], headers=headers, media_type=_TYPES[name])
