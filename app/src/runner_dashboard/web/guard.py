"""The door of every route: who asks, whether they may, and what becomes of refusals. Deny by default.

1. who asks: a bearer token, what a trusted proxy says, or the session of a browser
2. whether role and scope suffice
3. the body, under a limit; a form must carry the value that was handed to this session
4. the handler, in a thread
5. refusals: answered by their status, counted, and audited
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.concurrency import run_in_threadpool

from ec_closure.errors import EcError
from runner_dashboard import audit
from runner_dashboard.identity import tokens
from runner_dashboard.identity.roles import Role
from runner_dashboard.ingest.limits import Body
from runner_dashboard.refusals import (
    BusyError,
    ForbiddenError,
    ForgedError,
    MalformedError,
    RefusedError,
    UnauthorizedError,
)
from runner_dashboard.web import respond
from runner_dashboard.web.call import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from runner_dashboard.identity.roles import Principal
    from runner_dashboard.services import Services
    from runner_dashboard.web.spec import Spec

log = structlog.get_logger()

FORM_FIELD = "form_value"
_BODY_DEADLINE = 30.0
_UNAUDITED = frozenset({404, 408, 503})
"""What says nothing about anybody's rights."""


def cookie_name(services: Services) -> str:
    """Return what the session's cookie is called: over TLS a name that no other host can set."""
    return "__Host-dashboard" if services.config.secure else "dashboard"


def endpoint(spec: Spec, services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers requests of *spec*."""

    async def answer(request: Request) -> Response:
        began = time.monotonic()
        address = request.client.host if request.client is not None else "unknown"
        try:
            response = await _served(spec, services, request, address)
        except RefusedError as error:
            response = await _refused(spec, services, request, error, address)
        except SQLAlchemyError as error:
            log.error(  # noqa: TRY400 - the reason says it, a trace would not
                "the database failed", route=spec.name, reason=str(getattr(error, "orig", None) or error)
            )
            busy = BusyError("the database cannot be used now", hint="try again in a moment")
            response = await _refused(spec, services, request, busy, address)
        except EcError as error:
            response = await _refused(spec, services, request, MalformedError(str(error), hint=error.hint), address)
        status = int(response.status_code)
        took = time.monotonic() - began
        services.counters.add("requests", route=spec.name, status=str(status))
        services.counters.add("request_seconds", took, route=spec.name)
        log.debug("answered", route=spec.name, status=status, seconds=round(took, 4), address=address)
        return response

    return answer


async def _served(spec: Spec, services: Services, request: Request, address: str) -> Response:
    now = services.now
    if spec.kind == "node":
        # Proven by what is sent: see `runner_dashboard.ingest`.
        response: Response = await spec.handler(services, request, now)
        return response
    bearer = bearer_of(request)
    who = None
    if spec.role != Role.PUBLIC:
        who = await run_in_threadpool(_identified, services, now, request, bearer, address)
        if who is None:
            raise UnauthorizedError(
                "sign in, or send an API token" if bearer is None else "this token is not accepted",
                hint="Authorization: Bearer ecd_…",
            )
        request.state.actor = who.name
        if not who.may(spec.role, spec.scope):
            raise ForbiddenError(f"this needs the role {spec.role.word} and the scope {spec.scope}")
    body = b""
    if spec.method == "POST":
        incoming = Body(request, limit=spec.limit, room=services.room, deadline=_BODY_DEADLINE)
        try:
            body = await incoming.read()
        finally:
            incoming.close()
    call = Call(
        services, spec, now, who, request.url.path, request.path_params, request.query_params, request.headers,
        request.cookies, address, body,
    )  # fmt: skip
    if spec.method == "POST" and who is not None:
        _check_form(call, who)
    return await run_in_threadpool(spec.handler, call)


def bearer_of(request: Request) -> str | None:
    """Return the bearer token of a request, None without one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _identified(services: Services, now: int, request: Request, bearer: str | None, address: str) -> Principal | None:
    """Return who asks: by the token that was sent, by what a trusted proxy says, or by the browser's session."""
    proxy = services.proxy
    if bearer is None:
        named = [request.headers.getlist(name) for name in (proxy.user_header, proxy.groups_header)]
        if (who := proxy.principal(address, *named)) is not None:
            return who
    cookie = request.cookies.get(cookie_name(services), "")
    session = services.sessions.opened(now, cookie) if bearer is None and cookie else None
    if bearer is None and session is None:
        return None
    with services.database.read() as connection:
        if bearer is not None:
            return tokens.principal(connection, now, bearer)
        return services.sessions.principal(connection, now, services.owners, session or "")


def _check_form(call: Call, who: Principal) -> None:
    """Refuse what another site makes a browser send. A bearer token is never sent by a browser on its own."""
    if who.session is None:
        return
    if call.spec.kind != "form":
        raise ForgedError("changes through the API need a bearer token")
    if not call.services.sessions.is_ours(call.now, who.session, call.form().get(FORM_FIELD, "")):
        raise ForgedError("this form was not made for this session", hint="load the page again")


async def _refused(spec: Spec, services: Services, request: Request, error: RefusedError, address: str) -> Response:
    services.counters.add("refusals", code=error.code)
    actor = getattr(request.state, "actor", None) or f"address {address}"
    log.info("refused", route=spec.name, status=error.status, code=error.code, reason=str(error), actor=actor)
    # A page that is asked for without a session is a beginning, not an attempt.
    greeting = isinstance(error, UnauthorizedError) and spec.kind == "page"
    if error.status not in _UNAUDITED and not greeting:
        now = services.now
        try:
            await asyncio.wrap_future(
                services.database.writer.submit(
                    lambda connection: audit.refused(
                        connection,
                        now,
                        actor=actor,
                        action=spec.name,
                        subject=error.place or "",
                        detail=f"{error.status} {error.code}: {error.message}",
                    )
                )
            )
        except (SQLAlchemyError, BusyError, PoolTimeoutError) as trouble:
            # The refusal stands; that it could not be written down is said where nothing is lost.
            log.error(  # noqa: TRY400 - as above
                "a refusal was not audited", route=spec.name, code=error.code, reason=str(trouble)
            )
    return respond.problem(spec.kind, request.url.path, error, error.status)
