"""What programs may read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from runner_dashboard import audit
from runner_dashboard.alarms import alarm
from runner_dashboard.alarms.alarm import Alarm
from runner_dashboard.fleet import acknowledging, history, node, nodes, outliers, releases
from runner_dashboard.fleet import overview as glance
from runner_dashboard.fleet.acknowledging import Acknowledgement
from runner_dashboard.fleet.history import MAX_DAYS, History
from runner_dashboard.fleet.node import Details, Timeline
from runner_dashboard.fleet.nodes import MAX_PAGE, SORTS, STATES, VERDICTS, Filter, Node, NodePage
from runner_dashboard.fleet.outliers import Outliers
from runner_dashboard.fleet.overview import Overview
from runner_dashboard.fleet.releases import Release
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import NotFoundError
from runner_dashboard.web import openapi, respond
from runner_dashboard.web.node_api import MEDIA_TYPE
from runner_dashboard.web.spec import Query, Spec

if TYPE_CHECKING:
    from runner_dashboard.web.call import Call

_AUDIT_PAGE = 100
_MAX_ID = 2**62


class ReleaseList(msgspec.Struct, frozen=True):
    """Releases that nodes run, newest first."""

    releases: list[Release]


class AcknowledgementList(msgspec.Struct, frozen=True):
    """Acknowledgements, newest first, also those that have ended."""

    acknowledgements: list[Acknowledgement]


class AlarmList(msgspec.Struct, frozen=True):
    """Alarms: those that are not over, and the newest of those that are."""

    active: list[Alarm]
    over: list[Alarm]


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A change or a refusal: *times* between *at* and *last*."""

    id: int
    at: int
    last: int
    times: int
    actor: str
    action: str
    subject: str
    outcome: str
    detail: str


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, newest first, and what to ask with for older ones (None: there are none)."""

    entries: list[AuditEntry]
    next: int | None


def silent_before(call: Call) -> int:
    """Return the time before which nodes are silent that were not heard since."""
    return call.now - call.services.config.fleet.silent_after


def node_page(call: Call) -> NodePage:
    """Return the nodes that the address asks for. Raises `MalformedError`."""
    chosen = Filter(
        state=call.choice("state", STATES, "enrolled"),
        verdict=call.choice("verdict", VERDICTS, ""),
        tag=call.query.get("tag", ""),
        text=call.query.get("q", "").strip(),
        silent=call.choice("silent", ("", "yes"), "") == "yes",
    )
    with call.services.database.read() as connection:
        return nodes.page(
            connection,
            chosen,
            sort=call.choice("sort", SORTS, "name"),
            limit=call.number("limit", 50, 1, MAX_PAGE),
            after=call.query.get("after", ""),
            silent_before=silent_before(call),
        )


def one_node(call: Call) -> Node:
    """Return the node that the address names. Raises `NotFoundError`."""
    with call.services.database.read() as connection:
        found = nodes.find(connection, call.params["node"], silent_before(call))
    if found is None:
        raise NotFoundError("no such node")
    return found


def node_timeline(call: Call) -> Timeline:
    """Return the reports of the node that the address names. Raises `NotFoundError` or `MalformedError`."""
    found = one_node(call)
    limit = call.number("limit", 50, 1, node.MAX_TIMELINE)
    with call.services.database.read() as connection:
        return node.timeline(connection, found.id, limit, call.number("before", _MAX_ID, 1, _MAX_ID))


def fleet_overview(call: Call) -> Overview:
    """Return the fleet at a glance."""
    with call.services.database.read() as connection:
        return glance.overview(connection, call.now, silent_before(call))


def fleet_history(call: Call) -> History:
    """Return the fleet over time. Raises `MalformedError`."""
    count = call.number("days", 90, 1, MAX_DAYS)
    with call.services.database.read() as connection:
        return history.history(connection, call.now, count)


def release_list(call: Call) -> ReleaseList:
    """Return the releases that nodes run."""
    with call.services.database.read() as connection:
        return ReleaseList(releases.adopted(connection, silent_before(call)))


def outlier_list(call: Call) -> Outliers:
    """Return who differs from its peers."""
    with call.services.database.read() as connection:
        return outliers.find(connection)


def report_details(call: Call) -> Details:
    """Return the report that the address names. Raises `NotFoundError`."""
    with call.services.database.read() as connection:
        return node.details(connection, call.params["digest"])


def acknowledgement_list(call: Call) -> AcknowledgementList:
    """Return who knows of which findings."""
    with call.services.database.read() as connection:
        return AcknowledgementList(acknowledging.listed(connection))


def alarm_list(call: Call) -> AlarmList:
    """Return what operators are woken for."""
    with call.services.database.read() as connection:
        return AlarmList(alarm.active(connection), alarm.over(connection))


def audit_page(call: Call) -> AuditPage:
    """Return a page of the audit. Raises `MalformedError`."""
    before = call.number("before", _MAX_ID, 1, _MAX_ID)
    with call.services.database.read() as connection:
        rows = audit.newest(connection, _AUDIT_PAGE + 1, before)
    names = AuditEntry.__struct_fields__
    entries = [AuditEntry(**{name: getattr(row, name) for name in names}) for row in rows[:_AUDIT_PAGE]]
    return AuditPage(entries, entries[-1].id if len(rows) > _AUDIT_PAGE else None)


def download(call: Call) -> Response:
    """Answer with the envelope of a report, as the node sent it. Raises `NotFoundError`."""
    digest = call.params["digest"]
    with call.services.database.read() as connection:
        data = node.envelope(connection, digest)
    headers = {"Content-Disposition": f'attachment; filename="{digest}.report.json"'}
    return Response(data, headers=headers, media_type=MEDIA_TYPE)


def description(_call: Call) -> Response:
    """Answer with the description of this API."""
    # Imported when it is asked for: the table holds this very route.
    from runner_dashboard.web.routes import ROUTES

    return respond.json(openapi.describe(ROUTES))


_PAGING = (Query("limit", "How many at most."), Query("after", "The `next` of the page before."))
_NODES = (
    Query("state", f"One of {', '.join(STATES)}; enrolled when not given."),
    Query("verdict", f"One of {', '.join(VERDICTS[1:])}."),
    Query("tag", "The release's tag."),
    Query("q", "A part of the name or of the toplevel, or the beginning of the identifier."),
    Query("silent", "`yes` for silent nodes alone."),
    Query("sort", f"One of {', '.join(SORTS)}; name when not given."),
)
_BEFORE = (Query("before", "The `next` of the page before."),)

ROUTES = (
    Spec("GET", "/api/v1/overview", lambda call: respond.json(fleet_overview(call)), Role.VIEWER, "read", "api",
         "The fleet at a glance.", answer=Overview),
    Spec("GET", "/api/v1/history", lambda call: respond.json(fleet_history(call)), Role.VIEWER, "read", "api",
         "Numbers by day: verdicts, releases, what of the closures was proven.", answer=History,
         query=(Query("days", f"How many days before today, at most {MAX_DAYS}; 90 when not given."),)),
    Spec("GET", "/api/v1/nodes", lambda call: respond.json(node_page(call)), Role.VIEWER, "read", "api",
         "Nodes: filtered, sorted, searched, a page at a time.", answer=NodePage, query=(*_NODES, *_PAGING)),
    Spec("GET", "/api/v1/nodes/{node}", lambda call: respond.json(one_node(call)), Role.VIEWER, "read", "api",
         "One node, with what its newest report says.", answer=Node),
    Spec("GET", "/api/v1/nodes/{node}/reports", lambda call: respond.json(node_timeline(call)), Role.VIEWER, "read",
         "api", "The reports of a node, newest first.", answer=Timeline, query=(_PAGING[0], *_BEFORE)),
    Spec("GET", "/api/v1/reports/{digest}", lambda call: respond.json(report_details(call)), Role.VIEWER, "read",
         "api", "One report: its findings, its coverage, the paths that differ.", answer=Details),
    Spec("GET", "/api/v1/reports/{digest}/envelope", download, Role.VIEWER, "read", "api",
         "The signed envelope of a report, as the node sent it."),
    Spec("GET", "/api/v1/releases", lambda call: respond.json(release_list(call)), Role.VIEWER, "read", "api",
         "Releases that nodes run.", answer=ReleaseList),
    Spec("GET", "/api/v1/outliers", lambda call: respond.json(outlier_list(call)), Role.VIEWER, "read", "api",
         "Nodes of one release on which one path has other bytes.", answer=Outliers),
    Spec("GET", "/api/v1/acknowledgements", lambda call: respond.json(acknowledgement_list(call)), Role.VIEWER, "read",
         "api", "Who knows of which findings, and until when.", answer=AcknowledgementList),
    Spec("GET", "/api/v1/alarms", lambda call: respond.json(alarm_list(call)), Role.VIEWER, "read", "api",
         "What operators are woken for: silent, failed and suspected nodes.", answer=AlarmList),
    Spec("GET", "/api/v1/audit", lambda call: respond.json(audit_page(call)), Role.ADMIN, "audit", "api",
         "Changes and refusals, newest first.", answer=AuditPage, query=_BEFORE),
    Spec("GET", "/api/v1/openapi.json", description, Role.VIEWER, "read", "api", "This description."),
)  # fmt: skip
