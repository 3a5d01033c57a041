"""What tools of operators ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from runner_dashboard.errors import DatabaseError
from runner_dashboard.identity.roles import Role
from runner_dashboard.ops import metrics
from runner_dashboard.refusals import BusyError
from runner_dashboard.web import respond, static
from runner_dashboard.web.spec import Spec

if TYPE_CHECKING:
    from runner_dashboard.web.call import Call

log = structlog.get_logger()

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Health(msgspec.Struct, frozen=True):
    """That the process answers, or that it can do its work."""

    status: str


def healthz(_call: Call) -> Response:
    """Answer that the process is alive."""
    return respond.json(Health("alive"))


def readyz(call: Call) -> Response:
    """Answer whether the database can be reached and has this version's schema. Raises `BusyError`."""
    try:
        call.services.database.check()
    except DatabaseError as error:
        log.warning("not ready", reason=str(error))
        if isinstance(error.__cause__, SQLAlchemyError):
            # Everybody may ask: where the database is, only the log says.
            raise BusyError("not ready: the database cannot be used", hint="the log says more") from error
        raise BusyError(f"not ready: {error.message}", hint=error.hint) from error
    return respond.json(Health("ready"))


def scrape(call: Call) -> Response:
    """Answer with metrics."""
    return Response(metrics.render(call.services, call.now), headers={"Content-Type": OPENMETRICS})


ROUTES = (
    Spec("GET", "/healthz", healthz, Role.PUBLIC, None, "ops", "Whether the process answers.", answer=Health),
    Spec("GET", "/readyz", readyz, Role.PUBLIC, None, "ops", "Whether the database can be used.", answer=Health),
    Spec("GET", "/metrics", scrape, Role.VIEWER, "metrics", "ops", "Metrics, as OpenMetrics text."),
    Spec("GET", "/static/{digest}/{name}", static.serve, Role.PUBLIC, None, "ops", "Style sheet and icon."),
)
