"""The ASGI application: the route table behind its guard, and headers around it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from runner_dashboard.refusals import NotFoundError, RefusedError
from runner_dashboard.web import respond
from runner_dashboard.web.guard import endpoint
from runner_dashboard.web.headers import SecurityHeaders
from runner_dashboard.web.routes import ROUTES

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp

    from runner_dashboard.services import Services
    from runner_dashboard.web.spec import Kind

log = structlog.get_logger()


class BrokenError(RefusedError):
    """A mistake of ours."""

    code = "internal"


def make(services: Services) -> ASGIApp:
    """Return the application. What is not in the route table does not exist."""
    application = Starlette(
        routes=[Route(spec.path, endpoint(spec, services), methods=[spec.method]) for spec in ROUTES],
        exception_handlers={HTTPException: _unrouted, Exception: _broken},
    )
    application.router.redirect_slashes = False
    return SecurityHeaders(application, secure=services.config.secure)


async def _unrouted(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.NOT_FOUND
    said = NotFoundError(
        "there is no such page" if status == HTTPStatus.NOT_FOUND else HTTPStatus(status).phrase.lower()
    )
    return respond.problem(_kind(request), request.url.path, said, status)


async def _broken(request: Request, error: Exception) -> Response:
    log.error("a mistake of ours", path=request.url.path, exc_info=error)
    said = BrokenError("the dashboard made a mistake", hint="its log says more")
    return respond.problem(_kind(request), request.url.path, said, HTTPStatus.INTERNAL_SERVER_ERROR)


def _kind(request: Request) -> Kind:
    return "api" if request.url.path.startswith("/api/") else "page"
