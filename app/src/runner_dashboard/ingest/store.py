"""The transaction of one report: everything about it is kept, or nothing is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, insert, select, update

from runner_dashboard import audit
from runner_dashboard.data.tables import differing, enrolments, evidence, findings, nodes, reports
from runner_dashboard.events.event import emit
from runner_dashboard.identity.secrets import ENROLMENT, Secret
from runner_dashboard.ingest import rows, suspicion
from runner_dashboard.ingest.envelope import key_of, node_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ec_closure.report import Report
    from runner_dashboard.ingest.envelope import Signed
    from runner_dashboard.ingest.nonce import Freshness

Answer = Literal["accepted", "known", "replayed", "nonce strange", "nonce used", "pending", "full", "retired"]


@dataclass(frozen=True)
class Arrival:
    """One report that was verified and decoded. *token* came with it, *envelope* is what is kept as evidence."""

    signed: Signed
    report: Report
    envelope: bytes
    token: str
    freshness: Freshness
    pending: int

    @property
    def node(self) -> str:
        """The identifier of the node that signed it."""
        return node_id(self.signed.public_key)


def keep(connection: Connection, now: int, arrival: Arrival) -> Answer:
    """Keep the report, and enrol its node where a one-time token says so.

    What is refused is an answer, not an error: what was noticed on the way is kept, too.
    """
    node = arrival.node
    state = _state(connection, now, arrival)
    if state != "enrolled":
        return state
    # What is asked here makes a good answer. That nothing is kept twice, unique constraints see to.
    sender = connection.execute(select(reports.c.node_id).where(reports.c.digest == arrival.signed.digest)).scalar()
    if sender is not None:
        return "known" if sender == node else "replayed"
    report = arrival.report
    boot = report.boot_id or ""
    numbered = (reports.c.node_id == node, reports.c.boot_id == boot, reports.c.counter == report.counter)
    if connection.execute(select(reports.c.id).where(*numbered)).first() is not None:
        suspicion.record(connection, now, node, suspicion.TWICE, f"boot {boot or 'unknown'}, report {report.counter}")
        return "replayed"
    if arrival.freshness == "strange":
        return "nonce strange"
    if report.nonce is not None:
        used = select(reports.c.id).where(reports.c.nonce == report.nonce)
        if connection.execute(used).first() is not None:
            return "nonce used"
    cloned = suspicion.is_cloned(connection, node, boot, report.counter)
    number = _insert(connection, now, arrival)
    _summarise(connection, now, arrival, number)
    emit(connection, "report", node, now)
    if report.findings or report.left_out:
        emit(connection, "finding", node, now)
    if cloned:
        suspicion.record(connection, now, node, suspicion.CLONED, f"boot {boot}, report {report.counter}")
    return "accepted"


def _state(connection: Connection, now: int, arrival: Arrival) -> Literal["enrolled", "pending", "full", "retired"]:
    node = arrival.node
    # From here on, nobody else decides about this node or keeps a report of it.
    state = connection.execute(select(nodes.c.state).where(nodes.c.id == node).with_for_update()).scalar()
    if state in ("enrolled", "retired"):
        return "enrolled" if state == "enrolled" else "retired"
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
    values = rows.report_row(arrival.report) | {
        "node_id": arrival.node,
        "digest": arrival.signed.digest,
        "received": now,
        "late": int(arrival.freshness == "late"),
    }
    (number,) = connection.execute(insert(reports).values(**values)).inserted_primary_key or (0,)
    kept = rows.packed(arrival.envelope)
    connection.execute(insert(evidence).values(report_id=number, envelope=kept, size=len(arrival.envelope)))
    for table, listed in (
        (findings, rows.finding_rows(arrival.report)),
        (differing, rows.differing_rows(arrival.report)),
    ):
        if listed:
            connection.execute(insert(table), [row | {"report_id": number} for row in listed])
    return int(number)


def _summarise(connection: Connection, now: int, arrival: Arrival, number: int) -> None:
    """Let the node's row repeat its newest report: that with the highest counter, not that which came last."""
    values: dict[str, Any] = {"last_received": now}
    if arrival.freshness == "fresh":
        values["last_fresh"] = now
    report = arrival.report
    counter = connection.execute(select(nodes.c.counter).where(nodes.c.id == arrival.node)).scalar() or 0
    if report.counter >= counter:
        manifest = report.manifest
        weights = rows.weighed(report)
        values |= {
            "counter": report.counter,
            "current_report": number,
            "claimed_name": report.node,
            "verdict": report.verdict,
            "level": report.level_reached or "",
            "tag": manifest.tag if manifest else "",
            "version": manifest.version if manifest else 0,
            "toplevel": report.toplevel,
            "fails": weights["fail"],
            "warns": weights["warn"],
        }
    connection.execute(update(nodes).where(nodes.c.id == arrival.node).values(**values))
