"""What nodes ask: docs/report-api.md. Who they are is proven by the signature on what they send."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from anyio.to_thread import run_sync

from runner_dashboard.identity.roles import Role
from runner_dashboard.ingest.accept import accept
from runner_dashboard.ingest.limits import Body
from runner_dashboard.refusals import RefusedError, UnauthorizedError, WrongTypeError
from runner_dashboard.web import respond
from runner_dashboard.web.guard import bearer_of
from runner_dashboard.web.spec import Spec

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from runner_dashboard.services import Services

MEDIA_TYPE = "application/vnd.dsse.envelope+json"
_MAX_TOKEN = 4096
_CREATED, _KNOWN = 201, 208


class NonceAnswer(msgspec.Struct, frozen=True):
    """A nonce for the report of the run that begins now."""

    nonce: str


class ReportAnswer(msgspec.Struct, frozen=True):
    """A report that is kept: by its digest, whether it is *late*, and whether it was kept *before*."""

    report: str
    node: str
    late: bool
    before: bool


async def hand_out(services: Services, request: Request, now: int) -> Response:
    """Answer with a nonce that is bound to the token of the request."""
    services.counters.add("nonces")
    return respond.json(NonceAnswer(services.nonces.hand_out(now, _token(request))), _CREATED)


async def take(services: Services, request: Request, now: int) -> Response:
    """Take a report. An answer of 201 or 208 means that it is on the disk. Raises a `RefusedError`."""
    try:
        return await _taken(services, request, now)
    except RefusedError as error:
        services.counters.add("reports", outcome=error.code)
        raise


async def _taken(services: Services, request: Request, now: int) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise WrongTypeError(f"reports are sent as {MEDIA_TYPE}")
    config = services.config.ingest
    token = _token(request)
    body = Body(request, limit=config.max_envelope << 20, room=services.room, deadline=config.deadline)
    try:
        data = await body.read()
        found = await run_sync(
            lambda: accept(
                services.database, services.nonces, services.rates, now=now, body=data, token=token,
                pending=config.pending,
            ),
            limiter=services.judging,
        )  # fmt: skip
    finally:
        body.close()
    services.counters.add("reports", outcome="known" if found.known else found.freshness)
    answer = ReportAnswer(found.digest, found.node, found.freshness == "late", found.known)
    return respond.json(answer, _KNOWN if found.known else _CREATED)


def _token(request: Request) -> str:
    token = bearer_of(request) or ""
    if len(token) > _MAX_TOKEN or not token.isascii():
        raise UnauthorizedError("this is no token")
    return token


ROUTES = (
    Spec(
        "POST", "/api/v1/nonces", hand_out, Role.NODE, None, "node",
        "Hand out a nonce, good for one report.", answer=NonceAnswer, status=_CREATED,
    ),
    Spec(
        "POST", "/api/v1/reports", take, Role.NODE, None, "node",
        "Take a signed report, and keep it.", answer=ReportAnswer, status=_CREATED,
    ),
)  # fmt: skip
