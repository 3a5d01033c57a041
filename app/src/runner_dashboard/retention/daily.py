"""Numbers by day, for charts: what nodes ran and said, and what of their paths was proven. They outlive the reports.

A day is summed up once it is over, in UTC and by the time of arrival, so that nothing is added to it any more. Of each
node the last report of the day counts.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import func, insert, select

from runner_dashboard.data.backend import exclusively
from runner_dashboard.data.tables import days, reports

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from runner_dashboard.data.database import Database

DAY = 86_400
_COUNTS = msgspec.json.Decoder(dict[str, int])


class Daily(msgspec.Struct, frozen=True):
    """*nodes* that reported on the day that begins at *day* ran the release *tag* last and said *verdict*.

    *paths* counts the paths of their systems by what was said of each.
    """

    day: int
    tag: str
    version: int
    verdict: str
    nodes: int
    paths: dict[str, int]


def sum_up(database: Database, now: int, stopping: Callable[[], bool] = lambda: False) -> int:
    """Sum up every day that is over and was not yet, a transaction each, and return how many."""
    done = 0
    today = now // DAY * DAY
    while not stopping():
        with database.read() as connection:
            day = _next(connection)
        if day is None or day >= today:
            break
        done += database.write(partial(_keep, day=day))
    return done


def series(connection: Connection, since: int) -> list[Daily]:
    """Return the numbers of days that begin at *since* or later, in order."""
    query = select(days).where(days.c.day >= since).order_by(days.c.day, days.c.version, days.c.tag, days.c.verdict)
    return [
        Daily(row.day, row.tag, row.version, row.verdict, row.nodes, _COUNTS.decode(row.paths))
        for row in connection.execute(query)
    ]


def of_day(connection: Connection, day: int) -> list[Daily]:
    """Return the numbers of the day that begins at *day*, from its reports."""
    last = (
        select(func.max(reports.c.id))
        .where(reports.c.received >= day, reports.c.received < day + DAY)
        .group_by(reports.c.node_id)
    )
    query = select(reports.c.tag, reports.c.version, reports.c.verdict, reports.c.counts).where(reports.c.id.in_(last))
    seen: Counter[tuple[str, int, str]] = Counter()
    paths: dict[tuple[str, int, str], Counter[str]] = {}
    for tag, version, verdict, counts in connection.execute(query):
        key = (tag, version, verdict)
        seen[key] += 1
        paths.setdefault(key, Counter()).update(_COUNTS.decode(counts))
    return [Daily(day, *key, count, dict(sorted(paths[key].items()))) for key, count in sorted(seen.items())]


def _next(connection: Connection) -> int | None:
    """Return the first day that was not summed up and has reports, None where there is none."""
    newest = connection.execute(select(func.max(days.c.day))).scalar()
    query = select(func.min(reports.c.received))
    first = connection.execute(query if newest is None else query.where(reports.c.received >= newest + DAY)).scalar()
    return None if first is None else first // DAY * DAY


def _keep(connection: Connection, day: int) -> int:
    exclusively(connection, "compaction")
    if connection.execute(select(days.c.day).where(days.c.day >= day).limit(1)).first() is not None:
        return 0
    rows = [
        {
            "day": one.day, "tag": one.tag, "version": one.version, "verdict": one.verdict, "nodes": one.nodes,
            "paths": msgspec.json.encode(one.paths).decode(),
        }
        for one in of_day(connection, day)
    ]  # fmt: skip
    connection.execute(insert(days), rows)
    return 1
