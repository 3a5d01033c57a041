"""What several reports of one key say together: that the key is in use on two machines.

A machine's reports are numbered by a counter that only grows, and each boot has an identifier of its own. So the
numbers of one boot stand together, and no other boot's lies among them, in whatever order reports arrive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from runner_dashboard.data.tables import reports, suspicions
from runner_dashboard.events.event import emit

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Kind:
    """One kind of suspicion, with what it means and what to do."""

    code: str
    title: str
    hint: str


CLONED = Kind(
    "RD001",
    "one key under two boots at once",
    "Two machines sign with this node's key: one was cloned, or its key was copied. Retire the node, find both "
    "machines, and enrol each with a key of its own.",
)
TWICE = Kind(
    "RD002",
    "two reports under one number",
    "The key signed two different reports with the same boot and counter: a machine was restored from a snapshot, or "
    "the key is used elsewhere. The second report was refused.",
)
KINDS = {kind.code: kind for kind in (CLONED, TWICE)}


def is_cloned(connection: Connection, node: str, boot: str, counter: int) -> bool:
    """Whether the report *counter* of *boot* stands among those of another boot, or one of them among this boot's."""
    if not boot:
        return False
    own = select(func.min(reports.c.counter), func.max(reports.c.counter))
    low, high = connection.execute(own.where(reports.c.node_id == node, reports.c.boot_id == boot)).one()
    low, high = (counter, counter) if low is None else (min(low, counter), max(high, counter))
    between = select(reports.c.id).where(
        reports.c.node_id == node, reports.c.counter.between(low, high), reports.c.boot_id.not_in(("", boot))
    )
    if connection.execute(between.limit(1)).first() is not None:
        return True
    return _is_inside_another(connection, node, boot, counter)


def _is_inside_another(connection: Connection, node: str, boot: str, counter: int) -> bool:
    others = (reports.c.node_id == node, reports.c.boot_id.not_in(("", boot)))
    before = select(reports.c.boot_id).where(*others, reports.c.counter < counter).order_by(reports.c.counter.desc())
    after = select(reports.c.boot_id).where(*others, reports.c.counter > counter).order_by(reports.c.counter)
    earlier, later = connection.execute(before.limit(1)).scalar(), connection.execute(after.limit(1)).scalar()
    return earlier is not None and earlier == later


def record(connection: Connection, now: int, node: str, kind: Kind, detail: str) -> None:
    """Keep a suspicion about *node*, or count it again."""
    emit(connection, "finding", node, now)
    where = (suspicions.c.node_id == node, suspicions.c.code == kind.code)
    found = connection.execute(select(suspicions.c.id).where(*where)).scalar()
    if found is None:
        connection.execute(
            insert(suspicions).values(
                node_id=node, code=kind.code, first_seen=now, last_seen=now, times=1, detail=detail
            )
        )
        return
    again = update(suspicions).where(suspicions.c.id == found)
    connection.execute(again.values(last_seen=now, times=suspicions.c.times + 1, detail=detail))
