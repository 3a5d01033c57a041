"""Removing what is older than it has to be, in small transactions, so that nobody waits for a large one.

What goes is found by readers, and looked at again in the transaction that removes it. Of a report that goes its digest
stays: it is never taken a second time. Before any report goes, the numbers of its day are kept (`retention.daily`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from runner_dashboard import audit
from runner_dashboard.data.backend import first
from runner_dashboard.data.tables import audit as audited
from runner_dashboard.data.tables import differing, evidence, findings, forgotten, reports
from runner_dashboard.retention import daily
from runner_dashboard.retention.rule import removable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Table

    from runner_dashboard.config import Config
    from runner_dashboard.data.database import Database

DAY = 86_400
_BATCH = 200
"""How many reports one transaction deals with."""
_AUDIT_BATCH = 1000
BY = "retention"


@dataclass
class Removed:
    """How many rows went, by table; *days* that were summed up. *elsewhere*: another server did it at that moment."""

    rows: dict[str, int] = field(default_factory=dict)
    days: int = 0
    elsewhere: bool = False

    def add(self, table: str, count: int) -> None:
        """Count rows of *table*."""
        self.rows[table] = self.rows.get(table, 0) + count


def compact(database: Database, config: Config, now: int, stopping: Callable[[], bool] = lambda: False) -> Removed:
    """Remove what *config* says is old enough at *now*, until nothing is left or *stopping* says so.

    A report is kept for as long as its nonce could be brought back, whatever is configured. Raises `SQLAlchemyError` or
    `BusyError`: what was removed until then stays removed.
    """
    ages = config.retention
    found = Removed(days=daily.sum_up(database, now, stopping))
    # What a report rests on may go before it, never after it.
    parts: tuple[tuple[int, tuple[Table, ...]], ...] = (
        (ages.findings * DAY, (findings, differing)),
        (ages.evidence * DAY, (evidence,)),
        (
            ages.reports and max(ages.reports * DAY, config.ingest.nonce_lifetime),
            (findings, differing, evidence, reports),
        ),
    )
    for age, tables in parts:
        for batch in _old(database, tables, now, age, stopping) if age else ():
            gone = database.write(partial(_remove, now=now, batch=batch, tables=tables))
            if gone is None:
                found.elsewhere = True
                return found
            for name, count in gone.items():
                found.add(name, count)
    if ages.audit:
        _compact_audit(database, now - ages.audit * DAY, found, stopping)
    if any(found.rows.values()):
        said = ", ".join(f"{count} of {name}" for name, count in sorted(found.rows.items()) if count)
        database.write(partial(audit.done, now=now, actor=BY, action="retention.compact", subject="", detail=said))
    return found


def _old(
    database: Database, tables: tuple[Table, ...], now: int, age: int, stopping: Callable[[], bool]
) -> Iterator[list[int]]:
    """Yield the numbers of reports of which rows in *tables* may go, some at a time."""
    before = now - age
    after = 0
    while not stopping():
        found: set[int] = set()
        with database.read() as connection:
            for table in (reports,) if reports in tables else tables:
                column = table.c.id if table is reports else table.c.report_id
                query = select(column).distinct().where(reports.c.received < before, column > after, removable(now))
                if table is not reports:
                    query = query.join_from(table, reports, column == reports.c.id)
                found |= set(connection.execute(query.order_by(column).limit(_BATCH)).scalars())
        batch = sorted(found)[:_BATCH]
        if not batch:
            return
        yield batch
        after = batch[-1]


def _remove(connection: Connection, now: int, batch: list[int], tables: tuple[Table, ...]) -> dict[str, int] | None:
    """Remove rows of the reports in *batch* that nothing protects now; None where another server is at it."""
    if not first(connection, "compaction"):
        return None
    still = select(reports.c.id, reports.c.digest).where(reports.c.id.in_(batch), removable(now)).with_for_update()
    rows = connection.execute(still).all()
    numbers = [row.id for row in rows]
    if not numbers:
        return {}
    gone: dict[str, int] = {}
    for table in tables:
        column: Any = table.c.id if table is reports else table.c.report_id
        if table is reports:
            connection.execute(insert(forgotten), [{"digest": row.digest, "at": now} for row in rows])
        gone[table.name] = connection.execute(delete(table).where(column.in_(numbers))).rowcount
    return gone


def _compact_audit(database: Database, before: int, found: Removed, stopping: Callable[[], bool]) -> None:
    old = select(audited.c.id).where(audited.c.last < before).order_by(audited.c.id).limit(_AUDIT_BATCH)

    def remove(connection: Connection) -> int:
        return connection.execute(delete(audited).where(audited.c.id.in_(old))).rowcount

    while not stopping():
        gone = database.write(remove)
        if not gone:
            return
        found.add(audited.name, gone)
