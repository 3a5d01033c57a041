"""Pages that show paths: of one node's report, and of a release over the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from runner_dashboard.fleet import node as one
from runner_dashboard.fleet.paths import VERDICTS
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import NotFoundError
from runner_dashboard.web import respond
from runner_dashboard.web.api import manifests as api
from runner_dashboard.web.api import reading
from runner_dashboard.web.spec import Query, Spec

if TYPE_CHECKING:
    from starlette.responses import Response

    from runner_dashboard.web.call import Call

_FILTERS = ("report", "verdict", "q")


def of_node(call: Call) -> Response:
    """Show what a node's newest report, or the one that is asked for, says of each path."""
    found = reading.one_node(call)
    digest = call.query.get("report", "")
    with call.services.database.read() as connection:
        report = one.details(connection, digest) if digest else one.newest(connection, found.id)
    if report is None or report.node != found.id:
        raise NotFoundError("no such report of this node")
    page = api.report_paths(call, report.digest)
    chosen = {name: call.query.get(name, "") for name in _FILTERS}
    kept = {name: value for name, value in chosen.items() if value}
    following = None if page.next is None else f"/nodes/{found.id}/paths?{urlencode(kept | {'after': str(page.next)})}"
    return respond.page(
        call, "paths.html", node=found, report=report, page=page, chosen=chosen, following=following, verdicts=VERDICTS
    )


def of_release(call: Call) -> Response:
    """Show what the fleet says of each path of a release."""
    return respond.page(call, "release.html", found=api.release(call))


ROUTES = (
    Spec("GET", "/nodes/{node}/paths", of_node, Role.VIEWER, "read", "page", "What a node's report says of each path.",
         query=tuple(Query(name, "Of what is shown.") for name in (*_FILTERS, "after"))),
    Spec("GET", "/releases/{digest}", of_release, Role.VIEWER, "read", "page", "A release, path by path."),
)  # fmt: skip
