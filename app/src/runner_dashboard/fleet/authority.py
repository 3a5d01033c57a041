"""The gate's word on the repository: which path of publication is the authoritative one, brought by CI.

The dashboard judges nothing here: it keeps the newest answers that CI sent, and shows the last one with its age.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import delete, insert, select

from ec_closure import release_gate
from ec_closure.errors import BadInputError
from ec_closure.release_gate import Judgement
from runner_dashboard import audit
from runner_dashboard.data.tables import judgements
from runner_dashboard.events.event import emit
from runner_dashboard.refusals import MalformedError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_KEPT = 100


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate said of *revision*, brought by *by* at *at*."""

    revision: str
    at: int
    by: str
    judgement: Judgement


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One of the gate's answers, in short."""

    id: int
    revision: str
    at: int
    by: str
    passed: bool


class Authority(msgspec.Struct, frozen=True):
    """The newest answer of the gate (None before the first), and the answers before it."""

    newest: Judged | None
    history: list[Entry]


def keep(connection: Connection, now: int, data: bytes, *, revision: str, by: str) -> Judged:
    """Keep what the gate said of *revision*. Raises `MalformedError` for a document that is none."""
    try:
        judgement = release_gate.decode(data)
    except BadInputError as error:
        raise MalformedError(
            f"this is no answer of the gate: {error}", hint="send what `ec-release gate --json` prints"
        ) from error
    connection.execute(
        insert(judgements).values(
            revision=revision, at=now, by=by, passed=int(judgement.passed), document=msgspec.json.encode(judgement)
        )
    )
    kept = select(judgements.c.id).order_by(judgements.c.id.desc()).limit(_KEPT)
    connection.execute(delete(judgements).where(judgements.c.id.not_in(kept)))
    audit.done(
        connection, now, actor=by, action="authority.judged", subject=revision,
        detail="passed" if judgement.passed else "failed",
    )  # fmt: skip
    emit(connection, "finding", "", now)
    return Judged(revision=revision, at=now, by=by, judgement=judgement)


def authority(connection: Connection) -> Authority:
    """Return the gate's answers, the newest first."""
    columns = [column for column in judgements.c if column.name != "document"]
    rows = connection.execute(select(*columns).order_by(judgements.c.id.desc())).all()
    history = [Entry(id=row.id, revision=row.revision, at=row.at, by=row.by, passed=bool(row.passed)) for row in rows]
    if not history:
        return Authority(None, [])
    first = history[0]
    document = connection.execute(select(judgements.c.document).where(judgements.c.id == first.id)).scalar_one()
    newest = Judged(revision=first.revision, at=first.at, by=first.by, judgement=release_gate.decode(bytes(document)))
    return Authority(newest, history[1:])
