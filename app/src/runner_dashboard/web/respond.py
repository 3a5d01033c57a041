"""Answers: JSON, pages, and one form for everything that is refused."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from starlette.responses import RedirectResponse, Response

from runner_dashboard.refusals import TooManyError, UnauthorizedError
from runner_dashboard.web import templates

if TYPE_CHECKING:
    from ec_closure.errors import EcError
    from runner_dashboard.web.call import Call
    from runner_dashboard.web.spec import Kind

_UNAVAILABLE = int(HTTPStatus.SERVICE_UNAVAILABLE)
_RETRY = "10"


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a request was refused: a stable *code*, one line, and what to do."""

    code: str
    error: str
    hint: str | None = None


def json(value: Any, status: int = 200) -> Response:
    """Answer with *value* as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def page(call: Call, template: str, status: int = 200, /, **values: Any) -> Response:
    """Answer with a page."""
    return Response(templates.render(call, template, values), status, media_type="text/html")


def seen(path: str) -> Response:
    """Send the browser to *path* after a form did its work."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def problem(kind: Kind, path: str, error: EcError, status: int) -> Response:
    """Answer that the request was refused. Whoever asks for a page without being known is sent to sign in."""
    if isinstance(error, UnauthorizedError) and kind == "page":
        return seen(f"/sign-in?next={quote(path, safe='/')}")
    headers = {}
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, TooManyError) or status == _UNAVAILABLE:
        headers["Retry-After"] = _RETRY
    if kind in ("page", "form"):
        text = templates.problem(status, HTTPStatus(status).phrase, error)
        return Response(text, status, headers, media_type="text/html")
    # Not the place: it may name a file of ours.
    document = msgspec.json.encode(Problem(error.code, error.message, error.hint))
    return Response(document, status, headers, media_type="application/json")
