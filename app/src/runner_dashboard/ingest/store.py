"""The transaction of one report: everything about it is kept, or nothing is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import bindparam, func, insert, select, update

from runner_dashboard import audit
from runner_dashboard.data.tables import differing, enrolments, evidence, findings, forgotten, nodes, reports
from runner_dashboard.events.event import emit
from runner_dashboard.identity.secrets import ENROLMENT, Secret
from runner_dashboard.ingest import suspicion
from runner_dashboard.ingest.envelope import key_of, node_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ec_closure.report import Report
    from runner_dashboard.ingest.envelope import Signed
    from runner_dashboard.ingest.nonce import Freshness
    from runner_dashboard.ingest.rows import Prepared

Answer = Literal["accepted", "known", "replayed", "nonce strange", "nonce used", "pending", "full", "retired"]


# Statements are made once: making one takes longer than SQLite takes to carry it out. Of the node's row nobody else
# decides, and no other report of it is kept, from the first of them on.
_LOOK = (
    select(
        nodes.c.state,
        nodes.c.counter,
        select(reports.c.boot_id).where(reports.c.id == nodes.c.current_report).scalar_subquery().label("boot_id"),
        select(reports.c.node_id).where(reports.c.digest == bindparam("digest")).scalar_subquery().label("sender"),
        select(forgotten.c.at).where(forgotten.c.digest == bindparam("digest")).scalar_subquery().label("forgotten"),
        select(reports.c.id)
        .where(
            reports.c.node_id == bindparam("node"),
            reports.c.boot_id == bindparam("boot"),
            reports.c.counter == bindparam("number"),
        )
        .scalar_subquery()
        .label("twin"),
        select(reports.c.id).where(reports.c.nonce == bindparam("nonce")).scalar_subquery().label("used"),
    )
    .where(nodes.c.id == bindparam("node"))
    .with_for_update(of=nodes)
)
_REPORT, _EVIDENCE, _FINDINGS, _DIFFERING = (insert(table) for table in (reports, evidence, findings, differing))
_HEARD = update(nodes).where(nodes.c.id == bindparam("node"))


@dataclass(frozen=True)
class Arrival:
    """One report that was verified and decoded. *token* came with it, *rows* are what is kept of it."""

    signed: Signed
    report: Report
    rows: Prepared
    token: str
    freshness: Freshness
    pending: int

    @property
    def node(self) -> str:
        """The identifier of the node that signed it."""
        return self.signed.node

    @property
    def boot(self) -> str:
        """The boot that it speaks of, empty where it is not known."""
        return self.report.boot_id or ""


def keep(connection: Connection, now: int, arrival: Arrival) -> Answer:
    """Keep the report, and enrol its node where a one-time token says so.

    What is refused is an answer, not an error: what was noticed on the way is kept, too.
    """
    found = _look(connection, arrival)
    if found is None or found.state != "enrolled":
        state = _admitted(connection, now, arrival, None if found is None else found.state)
        if state != "enrolled":
            return state
        found = _look(connection, arrival)
    node, report = arrival.node, arrival.report
    # What is asked here makes a good answer. That nothing is kept twice, unique constraints see to.
    if found.sender is not None:
        return "known" if found.sender == node else "replayed"
    if found.forgotten is not None:
        # It was taken, and removed since: its envelope is spent.
        return "known"
    if found.twin is not None:
        detail = f"boot {arrival.boot or 'unknown'}, report {report.counter}"
        suspicion.record(connection, now, node, suspicion.TWICE, detail)
        return "replayed"
    if arrival.freshness == "strange":
        return "nonce strange"
    if found.used is not None:
        return "nonce used"
    # The next report of the boot that reported last stands among nobody's that did not stand there before.
    follows = report.counter > found.counter and arrival.boot == found.boot_id
    cloned = not follows and suspicion.is_cloned(connection, node, arrival.boot, report.counter)
    number = _insert(connection, now, arrival)
    _summarise(connection, now, arrival, number, newest=report.counter >= found.counter)
    emit(connection, "report", node, now)
    if report.findings or report.left_out:
        emit(connection, "finding", node, now)
    if cloned:
        suspicion.record(connection, now, node, suspicion.CLONED, f"boot {arrival.boot}, report {report.counter}")
    return "accepted"


def _look(connection: Connection, arrival: Arrival) -> Any:
    """Return what is known of the node and of reports like this one, None of a node that nobody knows."""
    return connection.execute(
        _LOOK,
        {
            "node": arrival.node,
            "digest": arrival.signed.digest,
            "boot": arrival.boot,
            "number": arrival.report.counter,
            "nonce": arrival.report.nonce,
        },
    ).first()


def _admitted(
    connection: Connection, now: int, arrival: Arrival, state: str | None
) -> Literal["enrolled", "pending", "full", "retired"]:
    """Return what becomes of a node that is not enrolled: in the state *state*, or not known."""
    node = arrival.node
    if state == "retired":
        return "retired"
    ticket = _ticket(connection, now, arrival.token)
    if state is None:
        waiting = select(func.count()).select_from(nodes).where(nodes.c.state == "pending")
        if ticket is None and (connection.execute(waiting).scalar() or 0) >= arrival.pending:
            return "full"
        add(connection, now, arrival.signed.public_key, arrival.report.node)
    if ticket is None:
        return "pending"
    name = ticket.name or arrival.report.node
    decide(connection, now, node, "enrolled", by=f"one-time token {ticket.id}", name=name)
    connection.execute(update(enrolments).where(enrolments.c.id == ticket.id).values(used_at=now, used_by=node))
    emit(connection, "enrolment", node, now)
    return "enrolled"


def _ticket(connection: Connection, now: int, token: str) -> Any:
    """Return the row of a one-time token that still counts, None for any other text."""
    secret = Secret.parse(token, ENROLMENT)
    if secret is None:
        return None
    row = connection.execute(select(enrolments).where(enrolments.c.id == secret.id).with_for_update()).first()
    if row is None or not secret.matches(row.secret_hash):
        return None
    return row if row.used_at is None and row.revoked_at is None and row.expires_at > now else None


def add(connection: Connection, now: int, public_key: str, name: str) -> str:
    """Add a node that waits for approval, and return its identifier."""
    node = node_id(public_key)
    connection.execute(
        insert(nodes).values(
            id=node, public_key=public_key, keyid=sslib_keyid(public_key), state="pending", name=name,
            claimed_name=name, first_seen=now, last_received=0, last_fresh=0, counter=0, verdict="", level="", tag="",
            version=0, toplevel="", fails=0, warns=0,
        )
    )  # fmt: skip
    audit.done(connection, now, actor=f"node {node}", action="node.appear", subject=node, detail=name)
    emit(connection, "enrolment", node, now)
    return node


def decide(connection: Connection, now: int, node: str, state: str, *, by: str, name: str | None = None) -> None:
    """Set the state of *node*, and its name where one is given."""
    values: dict[str, Any] = {"state": state, "decided_at": now, "decided_by": by}
    if name is not None:
        values["name"] = name
    connection.execute(update(nodes).where(nodes.c.id == node).values(**values))
    audit.done(connection, now, actor=by, action=f"node.{state}", subject=node, detail=name or "")
    emit(connection, "node", node, now)


def sslib_keyid(public_key: str) -> str:
    """Return the identifier that signers of securesystemslib give the key: the hint in envelopes."""
    key = key_of(public_key)
    described = {"keytype": key.keytype, "keyval": key.keyval, "scheme": key.scheme}
    return hashlib.sha256(json.dumps(described, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _insert(connection: Connection, now: int, arrival: Arrival) -> int:
    kept = arrival.rows
    values = kept.report | {
        "node_id": arrival.node,
        "digest": arrival.signed.digest,
        "received": now,
        "late": int(arrival.freshness == "late"),
    }
    (number,) = connection.execute(_REPORT, values).inserted_primary_key or (0,)
    connection.execute(_EVIDENCE, {"report_id": number, "envelope": kept.envelope, "size": kept.size})
    for statement, listed in ((_FINDINGS, kept.findings), (_DIFFERING, kept.differing)):
        if listed:
            connection.execute(statement, [row | {"report_id": number} for row in listed])
    return int(number)


def _summarise(connection: Connection, now: int, arrival: Arrival, number: int, *, newest: bool) -> None:
    """Let the node's row repeat its newest report: that with the highest counter, not that which came last."""
    values: dict[str, Any] = {"node": arrival.node, "last_received": now}
    if arrival.freshness == "fresh":
        values["last_fresh"] = now
    if newest:
        values |= arrival.rows.summary | {"current_report": number}
    connection.execute(_HEARD, values)
