"""Acknowledgements: somebody knows of a finding, owns it, and says until when. No verdict changes by one.

One covers findings of a code; on one node and for one path, where it names them. It ends by itself: a finding that
stays is shown again.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import and_, insert, or_, select, update

from ec_closure.findings import KINDS
from runner_dashboard import audit
from runner_dashboard.data.tables import acknowledgements, findings, nodes
from runner_dashboard.events.event import emit
from runner_dashboard.refusals import ConflictError, MalformedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection, Row

    from runner_dashboard.fleet.node import Finding

_LISTED = 1000


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """Findings *code*, on *node* and for *path* where these are not empty, are known to *owner* until *expires_at*."""

    id: str
    code: str
    node: str
    path: str
    owner: str
    reason: str
    made_by: str
    made_at: int
    expires_at: int
    revoked_at: int | None


def create(
    connection: Connection,
    now: int,
    *,
    code: str,
    node: str,
    path: str,
    owner: str,
    reason: str,
    lifetime: int,
    by: str,
) -> str:
    """Acknowledge findings for *lifetime* seconds and return the identifier.

    Raises `MalformedError` for a code that no verifier reports, `NotFoundError` for a node that is none.
    """
    if code not in KINDS:
        raise MalformedError(f"{code[:20]!r} is no code of a finding", hint="docs/findings.md lists them all")
    if node and connection.execute(select(nodes.c.id).where(nodes.c.id == node)).first() is None:
        raise NotFoundError("no such node")
    made = secrets.token_hex(8)
    connection.execute(
        insert(acknowledgements).values(
            id=made, code=code, node=node, path=path, owner=owner, reason=reason, made_by=by, made_at=now,
            expires_at=now + lifetime,
        )
    )  # fmt: skip
    audit.done(connection, now, actor=by, action="finding.acknowledge", subject=node or "every node",
               detail=f"{code} {path} for {owner}: {reason}")  # fmt: skip
    emit(connection, "acknowledgement", node, now)
    return made


def revoke(connection: Connection, now: int, acknowledgement: str, *, by: str) -> None:
    """End an acknowledgement before its time. Raises `NotFoundError` or `ConflictError`."""
    row = connection.execute(select(acknowledgements).where(acknowledgements.c.id == acknowledgement)).first()
    if row is None:
        raise NotFoundError("no such acknowledgement")
    if row.revoked_at is not None or row.expires_at <= now:
        raise ConflictError("this acknowledgement has ended already")
    connection.execute(update(acknowledgements).where(acknowledgements.c.id == acknowledgement).values(revoked_at=now))
    audit.done(connection, now, actor=by, action="finding.unacknowledge", subject=acknowledgement, detail=row.code)
    emit(connection, "acknowledgement", row.node, now)


def listed(connection: Connection) -> list[Acknowledgement]:
    """Return the newest acknowledgements, also those that have ended."""
    query = select(acknowledgements).order_by(acknowledgements.c.made_at.desc(), acknowledgements.c.id)
    return [_as_value(row) for row in connection.execute(query.limit(_LISTED))]


def of_node(connection: Connection, now: int, node: str) -> list[Acknowledgement]:
    """Return the acknowledgements that hold on *node* now."""
    query = select(acknowledgements).where(_holds(now), acknowledgements.c.node.in_(("", node)))
    return [_as_value(row) for row in connection.execute(query.order_by(acknowledgements.c.expires_at.desc()))]


def covering(held: Iterable[Acknowledgement], finding: Finding) -> Acknowledgement | None:
    """Return which of *held* covers *finding*, the one that lasts longest; None when none does."""
    return next((one for one in held if one.code == finding.code and one.path in ("", finding.path)), None)


def is_any_held(connection: Connection, now: int) -> bool:
    """Whether any acknowledgement holds now: if none does, no finding has to be asked whether one covers it."""
    return connection.execute(select(acknowledgements.c.id).where(_holds(now)).limit(1)).first() is not None


def covered(now: int) -> ColumnElement[bool]:
    """Return the condition that a row of `findings` of a row of `nodes` is covered."""
    return (
        select(acknowledgements.c.id)
        .where(
            _holds(now),
            acknowledgements.c.code == findings.c.code,
            or_(acknowledgements.c.node == "", acknowledgements.c.node == nodes.c.id),
            or_(acknowledgements.c.path == "", acknowledgements.c.path == findings.c.path),
        )
        .correlate(findings, nodes)
        .exists()
    )


def _holds(now: int) -> ColumnElement[bool]:
    return and_(acknowledgements.c.revoked_at.is_(None), acknowledgements.c.expires_at > now)


def _as_value(row: Row[tuple[object, ...]]) -> Acknowledgement:
    return Acknowledgement(**{name: getattr(row, name) for name in Acknowledgement.__struct_fields__})
