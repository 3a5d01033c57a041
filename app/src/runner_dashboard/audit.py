"""The audit: every change with who made it, and every refusal. Rows are added, and never changed but to count repeats.

Refusals are caused by strangers: what repeats within a minute is counted in one row, and beyond `_DISTINCT` rows a
minute they are counted without their names, so that nobody can fill the disk with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from ec_closure.decoding import excerpt
from runner_dashboard.data.tables import audit

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

_MINUTE = 60
_DISTINCT = 100
_MAX = 300


def done(connection: Connection, now: int, *, actor: str, action: str, subject: str, detail: str = "") -> None:
    """Record a change, in the transaction that makes it."""
    _add(connection, now, actor, action, subject, "done", detail)


def refused(connection: Connection, now: int, *, actor: str, action: str, subject: str, detail: str = "") -> None:
    """Record that something was refused, and why."""
    recent = (audit.c.outcome == "refused", audit.c.last > now - _MINUTE)
    if _counted(connection, now, (*recent, audit.c.actor == _clip(actor), audit.c.action == action,
                                  audit.c.subject == _clip(subject), audit.c.detail == _clip(detail))):  # fmt: skip
        return
    if (connection.execute(select(func.count()).select_from(audit).where(*recent)).scalar() or 0) < _DISTINCT:
        _add(connection, now, actor, action, subject, "refused", detail)
        return
    if not _counted(connection, now, (*recent, audit.c.actor == "many", audit.c.action == action)):
        _add(connection, now, "many", action, "", "refused", "too many to tell apart")


def newest(connection: Connection, limit: int, before: int | None = None) -> list[Row[tuple[object, ...]]]:
    """Return up to *limit* rows, newest first, those older than the row *before*."""
    query = select(audit).order_by(audit.c.id.desc()).limit(limit)
    return list(connection.execute(query if before is None else query.where(audit.c.id < before)))


def _counted(connection: Connection, now: int, where: tuple[ColumnElement[bool], ...]) -> bool:
    found = connection.execute(select(audit.c.id).where(*where).limit(1)).scalar()
    if found is None:
        return False
    connection.execute(update(audit).where(audit.c.id == found).values(times=audit.c.times + 1, last=now))
    return True


def _add(connection: Connection, now: int, actor: str, action: str, subject: str, outcome: str, detail: str) -> None:
    connection.execute(
        insert(audit).values(
            at=now, last=now, times=1, actor=_clip(actor), action=action, subject=_clip(subject), outcome=outcome,
            detail=_clip(detail),
        )
    )  # fmt: skip


def _clip(text: str) -> str:
    return excerpt(text, _MAX)
