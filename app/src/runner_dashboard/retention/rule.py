"""What is never removed, whatever its age. Three conditions on a row of `reports`, as SQL.

1. It is the one that its node's row repeats: the node's last verdict.
2. It is the newest, by counter, that its node sent of its release: what was proven there, last.
3. A finding of it is covered by an acknowledgement that has not ended: somebody relies on it being there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_, exists, not_, or_, select

from runner_dashboard.data.tables import acknowledgements, findings, nodes, reports

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement


def removable(now: int) -> ColumnElement[bool]:
    """Return the condition that nothing protects a row of `reports` at *now*. Its age is another one."""
    return and_(not_(_is_current()), not_(_is_newest()), not_(_is_acknowledged(now)))


def _is_current() -> ColumnElement[bool]:
    return exists(select(nodes.c.id).where(nodes.c.current_report == reports.c.id, nodes.c.id == reports.c.node_id))


def _is_newest() -> ColumnElement[bool]:
    newer = reports.alias("newer")
    return not_(
        exists(
            select(newer.c.id).where(
                newer.c.node_id == reports.c.node_id,
                newer.c.tag == reports.c.tag,
                newer.c.version == reports.c.version,
                or_(
                    newer.c.counter > reports.c.counter,
                    and_(newer.c.counter == reports.c.counter, newer.c.id > reports.c.id),
                ),
            )
        )
    )


def _is_acknowledged(now: int) -> ColumnElement[bool]:
    return exists(
        select(acknowledgements.c.id).where(
            acknowledgements.c.revoked_at.is_(None),
            acknowledgements.c.expires_at > now,
            or_(acknowledgements.c.node == "", acknowledgements.c.node == reports.c.node_id),
            findings.c.report_id == reports.c.id,
            findings.c.code == acknowledgements.c.code,
            or_(acknowledgements.c.path == "", acknowledgements.c.path == findings.c.path),
        )
    )
