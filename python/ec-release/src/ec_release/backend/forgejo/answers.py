"""What a server's refusal means, and what to do about it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from ec_closure.decoding import excerpt
from ec_release.errors import AccessError, BackendError, CapacityError

if TYPE_CHECKING:
    from collections.abc import Mapping

TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""

_MAX_SAID = 200
_FULL = ("no space left", "disk quota", "disk full")
_LIMITS = (
    "raise what limits uploads there: `[attachment] MAX_SIZE` and quotas of Forgejo, `client_max_body_size` of a proxy"
    " in front of it; or publish smaller files"
)
_HINTS = {
    HTTPStatus.UNAUTHORIZED: "the token has expired, was revoked, or belongs to another server",
    HTTPStatus.FORBIDDEN: "the token needs the right to write releases of this repository, which must not be archived",
    HTTPStatus.NOT_FOUND: (
        "check --server and --repository; the token must be allowed to write to the repository, or drafts stay hidden,"
        " and releases must be switched on in its settings"
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: "this address is not the API of a Forgejo",
    HTTPStatus.CONFLICT: "somebody else changes the same release; look at it, then run the same command again",
    HTTPStatus.UNPROCESSABLE_ENTITY: "the repository is empty, or the tag is protected: see its settings",
}
_ACCESS = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


def refusal(status: int, body: bytes, place: str) -> BackendError:
    """Return the error that *status* with the answer *body* is. *place* is what was asked for."""
    said = _said(body)
    message = f"the server answers {status} {_phrase(status)}".rstrip() + (f": {said}" if said else "")
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return CapacityError(message, place=place, hint=_LIMITS)
    if status == HTTPStatus.INSUFFICIENT_STORAGE or any(word in said.lower() for word in _FULL):
        return CapacityError(message, place=place, hint="the server's disk is full; make room, then run this again")
    if status in _ACCESS:
        return AccessError(message, place=place, hint=_HINTS[HTTPStatus(status)])
    if status in TRANSIENT:
        return BackendError(message, place=place, hint="the server is in trouble; later, run the same command again")
    return BackendError(message, place=place, hint=_HINTS.get(HTTPStatus(status)) if status in _HINTS else None)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Return how many seconds the server asks us to wait, None when it does not say; *now* in seconds since 1970."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    moment = date(value)
    return None if moment is None else max(0.0, moment - now)


def date(value: str | None) -> float | None:
    """Return the seconds since 1970 of a date in an HTTP header, None when there is none."""
    if not value:
        return None
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).timestamp()


def date_of(text: str) -> float:
    """Return the seconds since 1970 of an ISO 8601 moment, as answers carry it. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()


def bare(url: str) -> str:
    """Return *url* without what may carry secrets: user, query (signed addresses of object stores), fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _said(body: bytes) -> str:
    """Return what the server gives as reason: one printable line, from JSON or from text, never from a page of HTML."""
    try:
        answer: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        text = body[:_MAX_SAID].decode(errors="replace")
        return "" if text.lstrip().startswith("<") else excerpt(" ".join(text.split()), _MAX_SAID)
    message = answer.get("message", "") if isinstance(answer, dict) else ""
    return excerpt(" ".join(message.split()), _MAX_SAID) if isinstance(message, str) else ""
