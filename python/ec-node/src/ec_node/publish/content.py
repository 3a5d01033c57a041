"""What is at an address of an origin, and the answer to a request for it (RFC 9110). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

from ec_node.publish import ranges
from ec_node.publish.answer import MediaResponse

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOWED = "GET, HEAD, OPTIONS"
_DAY = 86400


@dataclass(frozen=True)
class Content:
    """What is at an address: *etag* is quoted, *cache* says who may keep it, and for how long."""

    data: bytes
    media_type: str
    etag: str
    cache: str


def answer(content: Content, asked: Mapping[str, str], *, head: bool, cross: Mapping[str, str]) -> Response:
    """Return the answer to a request with the headers *asked*: whole, a range, or that nothing has changed.

    With *head* there is no body. *cross* are headers for browsers, from `cross_origin`.
    """
    headers = {**cross, "ETag": content.etag, "Cache-Control": content.cache, "Accept-Ranges": "bytes"}
    if ranges.matches(asked.get("if-none-match", ""), content.etag):
        return Response(b"", 304, headers)
    data, status = content.data, 200
    wanted = asked.get("range")
    if wanted is not None and asked.get("if-range", content.etag) == content.etag and not head:
        try:
            part = ranges.parse(wanted, len(data))
        except ranges.UnsatisfiableError:
            return Response(b"", 416, {**headers, "Content-Range": f"bytes */{len(data)}"})
        if part is not None:
            headers["Content-Range"] = f"bytes {part[0]}-{part[1] - 1}/{len(data)}"
            data, status = data[part[0] : part[1]], 206
    headers["Content-Type"] = content.media_type
    if head:
        return Response(b"", status, {**headers, "Content-Length": str(len(data))})
    return MediaResponse(data, status, headers)


def cross_origin(allowed: str) -> dict[str, str]:
    """Return the headers that let pages of the origin *allowed* read answers: `*` for all, empty for none."""
    if not allowed:
        return {}
    headers = {
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Allow-Methods": ALLOWED,
        "Access-Control-Allow-Headers": "Range, If-Range, If-None-Match",
        "Access-Control-Expose-Headers": "Content-Length, Content-Range, ETag, Date",
        "Access-Control-Max-Age": str(_DAY),
    }
    return headers if allowed == "*" else {**headers, "Vary": "Origin"}
