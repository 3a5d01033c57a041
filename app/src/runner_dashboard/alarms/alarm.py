"""Alarms: what is wrong with the fleet now, worked out from what is stored, and kept with its beginning and its end.

An alarm is told of when it begins and when it ends, and not in between: one that stays is one message.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from sqlalchemy import insert, or_, select, update

from runner_dashboard.data.tables import alarms, deliveries, findings, nodes, suspicions
from runner_dashboard.events.event import emit
from runner_dashboard.fleet.acknowledging import covered
from runner_dashboard.ingest.suspicion import KINDS as SUSPICIONS

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Row

Kind = Literal["silent", "failed", "suspected"]
KINDS: Final[tuple[Kind, ...]] = ("silent", "failed", "suspected")
_LISTED = 500


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """*kind* of trouble on *node* (called *name*) since *began*; over at *ended*, or still there (None)."""

    id: str
    kind: str
    node: str
    name: str
    detail: str
    began: int
    ended: int | None


def step(connection: Connection, now: int, silent_before: int, told: Collection[str]) -> tuple[int, int]:
    """Begin and end alarms as the fleet is now; return how many. Of the kinds in *told*, messages are put in line."""
    wanted = {**_silent(connection, silent_before), **_failed(connection, now), **_suspected(connection)}
    active = {(row.kind, row.node): row for row in connection.execute(select(alarms).where(alarms.c.ended.is_(None)))}
    began = [(key, detail) for key, detail in wanted.items() if key not in active]
    ended = [row for key, row in active.items() if key not in wanted]
    for (kind, node), detail in began:
        made = secrets.token_hex(8)
        connection.execute(insert(alarms).values(id=made, kind=kind, node=node, detail=detail, began=now))
        _put_in_line(connection, now, made, "began", kind in told)
        emit(connection, "finding", node, now)
    for row in ended:
        connection.execute(update(alarms).where(alarms.c.id == row.id).values(ended=now))
        _put_in_line(connection, now, row.id, "ended", row.kind in told)
        emit(connection, "finding", row.node, now)
    return len(began), len(ended)


def _put_in_line(connection: Connection, now: int, alarm: str, what: str, wanted: bool) -> None:  # noqa: FBT001 - of the kind
    if wanted:
        connection.execute(
            insert(deliveries).values(
                id=secrets.token_hex(16), alarm_id=alarm, what=what, made_at=now, attempts=0, next_at=now, error=""
            )
        )


def active(connection: Connection) -> list[Alarm]:
    """Return the alarms that are not over, the newest first."""
    return _listed(connection, over=False)


def over(connection: Connection) -> list[Alarm]:
    """Return the alarms that are over, those that ended last first."""
    return _listed(connection, over=True)


def _listed(connection: Connection, *, over: bool) -> list[Alarm]:
    query = select(alarms, nodes.c.name).join(nodes, nodes.c.id == alarms.c.node)
    query = (
        query.where(alarms.c.ended.is_not(None)).order_by(alarms.c.ended.desc(), alarms.c.id)
        if over
        else query.where(alarms.c.ended.is_(None)).order_by(alarms.c.began.desc(), alarms.c.id)
    )
    return [as_value(row) for row in connection.execute(query.limit(_LISTED))]


def as_value(row: Row[tuple[object, ...]]) -> Alarm:
    """Return the alarm of a row of `alarms` with the node's name."""
    return Alarm(**{name: getattr(row, name) for name in Alarm.__struct_fields__})


def _silent(connection: Connection, silent_before: int) -> dict[tuple[str, str], str]:
    query = select(nodes.c.id, nodes.c.last_received).where(
        nodes.c.state == "enrolled", nodes.c.last_received <= silent_before
    )
    return {("silent", row.id): f"last heard {_moment(row.last_received)}" for row in connection.execute(query)}


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _failed(connection: Connection, now: int) -> dict[tuple[str, str], str]:
    """Return nodes that failed, but for those on which somebody knows of everything that fails."""
    open_ones = (
        select(findings.c.code)
        .where(findings.c.report_id == nodes.c.current_report, findings.c.severity == "fail", ~covered(now))
        .correlate(nodes)
        .exists()
    )
    query = select(nodes.c.id, nodes.c.fails, nodes.c.tag).where(
        nodes.c.state == "enrolled", nodes.c.verdict == "failed", or_(nodes.c.fails == 0, open_ones)
    )
    return {
        ("failed", row.id): f"{row.fails} failing {'finding' if row.fails == 1 else 'findings'} on {row.tag}"
        for row in connection.execute(query)
    }


def _suspected(connection: Connection) -> dict[tuple[str, str], str]:
    query = select(suspicions.c.node_id, suspicions.c.code).join(nodes).where(nodes.c.state == "enrolled")
    found: dict[tuple[str, str], str] = {}
    for row in connection.execute(query.order_by(suspicions.c.code)):
        found.setdefault(("suspected", row.node_id), f"{row.code}: {SUSPICIONS[row.code].title}")
    return found
