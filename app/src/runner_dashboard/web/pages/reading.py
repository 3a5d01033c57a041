"""Pages that show the fleet. They ask what the API answers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ec_closure.findings import KINDS
from runner_dashboard.fleet import acknowledging, enrolment, manifests
from runner_dashboard.fleet import node as one
from runner_dashboard.fleet import nodes as listing
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import NotFoundError
from runner_dashboard.web import respond
from runner_dashboard.web.api import authority as gate
from runner_dashboard.web.api import reading as api
from runner_dashboard.web.spec import Query, Spec

if TYPE_CHECKING:
    from starlette.responses import Response

    from runner_dashboard.web.call import Call

_TIMELINE = 25
_MAX_ID = 2**62
_FILTERS = ("state", "verdict", "tag", "q", "silent", "sort")
SORTS = {
    "name": "name",
    "trouble": "most failing findings",
    "recent": "heard last",
    "silent": "silent for longest",
    "release": "newest release",
}


def overview(call: Call) -> Response:
    """Show the fleet at a glance."""
    return respond.page(
        call, "overview.html", fleet=api.fleet_overview(call), kinds=KINDS, past=api.fleet_history(call)
    )


def nodes(call: Call) -> Response:
    """Show the list of nodes."""
    found = api.node_page(call)
    with call.services.database.read() as connection:
        tags = listing.tags(connection)
    chosen = {name: call.query.get(name, "") for name in _FILTERS}
    following = None
    if found.next is not None:
        kept = {name: value for name, value in chosen.items() if value}
        following = f"/nodes?{urlencode(kept | {'after': found.next})}"
    return respond.page(
        call, "nodes.html", page=found, tags=tags, chosen=chosen, following=following, sorts=SORTS,
        states=listing.STATES, verdicts=listing.VERDICTS[1:], paged=bool(call.query.get("after")),
        filtered=any(chosen.values()),
    )  # fmt: skip


def node(call: Call) -> Response:
    """Show one node, with its newest report or the one that is asked for."""
    found = api.one_node(call)
    digest = call.query.get("report", "")
    with call.services.database.read() as connection:
        report = one.details(connection, digest) if digest else one.newest(connection, found.id)
        if report is not None and report.node != found.id:
            raise NotFoundError("no such report of this node")
        timeline = one.timeline(connection, found.id, _TIMELINE, call.number("before", _MAX_ID, 1, _MAX_ID))
        suspicions = one.suspected(connection, found.id)
        before, after = enrolment.succession(connection, found.id)
        held = acknowledging.of_node(connection, call.now, found.id)
        has_paths = report is not None and manifests.known(connection, report.manifest_digest)
    known = {finding: acknowledging.covering(held, finding) for finding in report.findings} if report else {}
    return respond.page(
        call, "node.html", node=found, report=report, timeline=timeline, suspicions=suspicions, kinds=KINDS,
        older=f"/nodes/{found.id}?before={timeline.next}" if timeline.next else None, asked=bool(digest),
        may_decide=call.who is not None and call.who.may(Role.OPERATOR, "enrol"), known=known,
        has_paths=has_paths,
        before=before, after=after, may_acknowledge=call.who is not None and call.who.may(Role.OPERATOR, "operate"),
    )  # fmt: skip


def releases(call: Call) -> Response:
    """Show releases that nodes run."""
    found = api.release_list(call).releases
    with call.services.database.read() as connection:
        kept = manifests.listed(connection)
    return respond.page(
        call, "releases.html", releases=found, total=sum(release.nodes for release in found), manifests=kept
    )


def outliers(call: Call) -> Response:
    """Show who differs from its peers."""
    return respond.page(call, "outliers.html", found=api.outlier_list(call))


def alarms(call: Call) -> Response:
    """Show what operators are woken for."""
    return respond.page(call, "alarms.html", found=api.alarm_list(call), told=bool(call.services.config.notify.url))


def authority(call: Call) -> Response:
    """Show what the release gate said."""
    return respond.page(call, "authority.html", found=gate.newest(call))


def audit(call: Call) -> Response:
    """Show changes and refusals."""
    return respond.page(call, "audit.html", page=api.audit_page(call))


ROUTES = (
    Spec(
        "GET",
        "/",
        overview,
        Role.VIEWER,
        "read",
        "page",
        "The fleet at a glance.",
        query=(Query("days", "How many days of the past are drawn."),),
    ),
    Spec("GET", "/nodes", nodes, Role.VIEWER, "read", "page", "The list of nodes."),
    Spec("GET", "/nodes/{node}", node, Role.VIEWER, "read", "page", "One node."),
    Spec("GET", "/releases", releases, Role.VIEWER, "read", "page", "Releases that nodes run."),
    Spec("GET", "/outliers", outliers, Role.VIEWER, "read", "page", "Who differs from its peers."),
    Spec("GET", "/alarms", alarms, Role.VIEWER, "read", "page", "What operators are woken for."),
    Spec("GET", "/authority", authority, Role.VIEWER, "read", "page", "What the release gate said."),
    Spec("GET", "/audit", audit, Role.ADMIN, "audit", "page", "Changes and refusals."),
)
