"""The fleet at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, select

from runner_dashboard.data.tables import findings, nodes, reports
from runner_dashboard.fleet import nodes as listing
from runner_dashboard.fleet.acknowledging import covered, is_any_held
from runner_dashboard.fleet.node import Suspicion, suspected
from runner_dashboard.fleet.nodes import Filter, Node
from runner_dashboard.fleet.releases import Release, adopted

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select

_FEW = 10
_FINDINGS = 20


class OpenFinding(msgspec.Struct, frozen=True):
    """What newest reports find wrong, by code: on how many nodes, and when it was last reported."""

    code: str
    severity: str
    nodes: int
    count: int
    last: int
    message: str


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Enrolled nodes by verdict (*none*: no report yet), those that are silent, what is open, what runs.

    *acknowledged* findings are counted and not listed.
    """

    enrolled: int
    pending: int
    retired: int
    verdicts: dict[str, int]
    silent: int
    silent_nodes: list[Node]
    findings: list[OpenFinding]
    acknowledged: int
    suspicions: list[Suspicion]
    releases: list[Release]
    newest_report: int


def overview(connection: Connection, now: int, silent_before: int) -> Overview:
    """Return the state of the fleet. A node is silent that was last heard before *silent_before*."""
    states = dict(connection.execute(select(nodes.c.state, func.count()).group_by(nodes.c.state)).tuples().all())
    by_verdict = select(nodes.c.verdict, func.count()).where(nodes.c.state == "enrolled").group_by(nodes.c.verdict)
    verdicts = dict(connection.execute(by_verdict).tuples().all())
    quiet = listing.page(
        connection, Filter(silent=True), sort="silent", limit=_FEW, after="", silent_before=silent_before
    )
    held = is_any_held(connection, now)
    return Overview(
        enrolled=states.get("enrolled", 0),
        pending=states.get("pending", 0),
        retired=states.get("retired", 0),
        verdicts={word or "none": verdicts.get(word, 0) for word in ("passed", "failed", "undecided", "")},
        silent=quiet.total,
        silent_nodes=quiet.nodes,
        findings=_open(connection, now, held=held),
        acknowledged=_acknowledged(connection, now) if held else 0,
        suspicions=suspected(connection),
        releases=adopted(connection, silent_before),
        newest_report=connection.scalar(select(func.max(reports.c.received))) or 0,
    )


def _open(connection: Connection, now: int, *, held: bool) -> list[OpenFinding]:
    uncovered = [~covered(now)] if held else []
    query = (
        _current(
            findings.c.code,
            findings.c.severity,
            func.count(nodes.c.current_report.distinct()).label("nodes"),
            func.count().label("count"),
            func.max(nodes.c.last_received).label("last"),
        )
        .where(*uncovered)
        .group_by(findings.c.code, findings.c.severity)
        .order_by(func.max(nodes.c.last_received).desc(), findings.c.severity, findings.c.code)
        .limit(_FINDINGS)
    )
    found = []
    for code, severity, count, times, last in connection.execute(query).all():
        one = _current(findings.c.message).where(findings.c.code == code, findings.c.severity == severity, *uncovered)
        message = connection.execute(one.limit(1)).scalar() or ""
        found.append(OpenFinding(code, severity, count, times, last, message))
    return found


def _acknowledged(connection: Connection, now: int) -> int:
    return connection.scalar(_current(func.count()).where(covered(now))) or 0


def _current(*columns: Any) -> Select[Any]:
    """Select from what fails or warns in newest reports."""
    return (
        select(*columns)
        .select_from(nodes.join(findings, findings.c.report_id == nodes.c.current_report))
        # Of the nodes on which nothing is wrong, no row is looked at.
        .where(nodes.c.state == "enrolled", nodes.c.fails + nodes.c.warns > 0, findings.c.severity != "info")
    )
