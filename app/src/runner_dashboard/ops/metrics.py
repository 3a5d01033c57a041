"""`/metrics`: what monitoring asks for. Names are stable; labels come from small sets, never from what nodes write."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from runner_dashboard.alarms.alarm import KINDS
from runner_dashboard.data.tables import alarms, nodes, reports, suspicions
from runner_dashboard.ops.counters import Page

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from runner_dashboard.services import Services

_PREFIX = "runner_dashboard_"
_VERDICTS = ("passed", "failed", "undecided", "none")
_STATES = ("enrolled", "pending", "retired")
COUNTERS = {
    "reports": "Reports by outcome: fresh, late, known, or the code of a refusal.",
    "nonces": "Nonces that were handed out.",
    "requests": "Requests by route and status.",
    "request_seconds": "Time that requests took, by route.",
    "manifest_fetches": "Times that manifests were fetched: complete, missing (some are not published), failed.",
    "notifications": "Messages about alarms by outcome: sent, or failed (and tried again).",
    "compactions": "Compactions by outcome: done, failed, or done elsewhere at that moment.",
    "compacted_rows": "Rows that compaction removed, by table.",
    "refusals": "Requests that were refused, by code.",
}


def render(services: Services, now: int) -> str:
    """Return the page. Raises `SQLAlchemyError`."""
    page = Page()
    page.family("gauge", f"{_PREFIX}info", "The version that runs.", {(("version", version("runner-dashboard")),): 1})
    page.gauge(f"{_PREFIX}start_timestamp_seconds", "When it started.", services.started)
    with services.database.read() as connection:
        _fleet(page, connection, now - services.config.fleet.silent_after)
        _alarms(page, connection)
    page.gauge(f"{_PREFIX}database_bytes", "Size of the database with its log.", services.database.size())
    page.gauge(
        f"{_PREFIX}writes_waiting", "Work that waits for a thread that writes.", services.database.writer.waiting
    )
    for name, about in COUNTERS.items():
        page.family("counter", f"{_PREFIX}{name}", about, services.counters.snapshot(name))
    return page.render()


def _fleet(page: Page, connection: Connection, silent: int) -> None:
    states = dict(connection.execute(select(nodes.c.state, func.count()).group_by(nodes.c.state)).tuples().all())
    page.family("gauge", f"{_PREFIX}nodes", "Nodes by state.", {
        (("state", state),): states.get(state, 0) for state in _STATES
    })  # fmt: skip
    enrolled = nodes.c.state == "enrolled"
    verdicts = dict(
        connection.execute(select(nodes.c.verdict, func.count()).where(enrolled).group_by(nodes.c.verdict))
        .tuples()
        .all()
    )
    page.family("gauge", f"{_PREFIX}node_verdicts", "Enrolled nodes by the verdict of their newest report.", {
        (("verdict", verdict),): verdicts.get(verdict if verdict != "none" else "", 0) for verdict in _VERDICTS
    })  # fmt: skip
    quiet = select(func.count()).select_from(nodes).where(enrolled, nodes.c.last_received <= silent)
    page.gauge(
        f"{_PREFIX}silent_nodes", "Enrolled nodes that have not reported for too long.", connection.scalar(quiet) or 0
    )
    newest = connection.scalar(select(func.max(reports.c.received))) or 0
    page.gauge(f"{_PREFIX}newest_report_timestamp_seconds", "When the newest report came; 0 before the first.", newest)
    page.gauge(
        f"{_PREFIX}kept_reports", "Reports in the database.", connection.scalar(select(func.count(reports.c.id))) or 0
    )
    suspected = select(func.count()).select_from(suspicions)
    page.gauge(
        f"{_PREFIX}suspicions", "Nodes whose key is suspected to be used twice.", connection.scalar(suspected) or 0
    )


def _alarms(page: Page, connection: Connection) -> None:
    active = dict(
        connection.execute(select(alarms.c.kind, func.count()).where(alarms.c.ended.is_(None)).group_by(alarms.c.kind))
        .tuples()
        .all()
    )
    page.family("gauge", f"{_PREFIX}alarms", "Alarms that are not over, by kind.", {
        (("kind", kind),): active.get(kind, 0) for kind in KINDS
    })  # fmt: skip
