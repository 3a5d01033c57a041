"""One node: what it runs, its reports, and what one of them says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import select

from runner_dashboard.data.tables import differing, evidence, findings, nodes, reports, suspicions
from runner_dashboard.ingest import rows
from runner_dashboard.ingest.suspicion import KINDS
from runner_dashboard.refusals import NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

MAX_TIMELINE = 100
_LISTED = 1000


class Finding(msgspec.Struct, frozen=True):
    """One thing that a node found wrong."""

    code: str
    severity: str
    path: str | None
    message: str
    hint: str


class Differing(msgspec.Struct, frozen=True):
    """A path whose bytes are not those that CI signed: on the *disk*, or as this node *rebuilt* them."""

    kind: str
    path: str
    nar_hash: str


class Step(msgspec.Struct, frozen=True, rename="camel"):
    """What one step of a run covered; as in the report."""

    step: str
    status: str
    done: int = 0
    total: int = 0
    reasons: dict[str, int] = {}


# While there is one thread: see `runner_dashboard.ingest.accept`.
_COVERAGE = msgspec.json.Decoder(list[Step])


class Suspicion(msgspec.Struct, frozen=True):
    """What the dashboard concludes from several reports of one key."""

    node: str
    name: str
    code: str
    title: str
    hint: str
    detail: str
    first_seen: int
    last_seen: int
    times: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One report in a node's timeline."""

    digest: str
    received: int
    finished: int
    late: bool
    verdict: str
    level_asked: str
    level_reached: str
    tag: str
    version: int
    boot_id: str
    counter: int
    fails: int
    warns: int
    infos: int


class Timeline(msgspec.Struct, frozen=True):
    """Reports, newest first, and what to ask with for older ones (None: there are none)."""

    reports: list[Entry]
    next: int | None


class Details(Entry, frozen=True, kw_only=True):
    """All that is kept of one report besides its envelope."""

    node: str
    claimed_name: str
    toplevel: str
    manifest_digest: str
    lag: int | None
    observed_digest: str
    policy_digest: str
    config_digest: str
    node_data_digest: str
    verifier: str
    started: int
    counts: dict[str, int]
    coverage: list[Step]
    unlisted: int
    extra: int
    findings: list[Finding]
    differing: list[Differing]


def timeline(connection: Connection, node: str, limit: int = MAX_TIMELINE, before: int | None = None) -> Timeline:
    """Return up to *limit* reports of a node in the order of their arrival, those that came before the one *before*."""
    query = select(reports).where(reports.c.node_id == node).order_by(reports.c.id.desc()).limit(limit + 1)
    found = connection.execute(query if before is None else query.where(reports.c.id < before)).all()
    following = found[limit - 1].id if len(found) > limit else None
    return Timeline([Entry(**_entry(row)) for row in found[:limit]], following)


def details(connection: Connection, digest: str) -> Details:
    """Return what the report *digest* says. Raises `NotFoundError`."""
    row = connection.execute(select(reports).where(reports.c.digest == digest)).first()
    if row is None:
        raise NotFoundError("no such report")
    return _details(connection, row)


def newest(connection: Connection, node: str) -> Details | None:
    """Return the report of *node* with the highest counter, None before the first."""
    query = select(reports).join(nodes, nodes.c.current_report == reports.c.id).where(nodes.c.id == node)
    row = connection.execute(query).first()
    return None if row is None else _details(connection, row)


def envelope(connection: Connection, digest: str) -> bytes:
    """Return the envelope of a report, as it came. Raises `NotFoundError`."""
    query = select(evidence.c.envelope, evidence.c.size).join(reports).where(reports.c.digest == digest)
    row = connection.execute(query).first()
    if row is None:
        if connection.execute(select(reports.c.id).where(reports.c.digest == digest)).first() is not None:
            raise NotFoundError("the envelope of this report was removed", hint="[retention] evidence says when")
        raise NotFoundError("no such report")
    return rows.unpacked(row.envelope, row.size)


def suspected(connection: Connection, node: str | None = None) -> list[Suspicion]:
    """Return what is suspected, of one node or of all that are not retired, newest first."""
    query = select(suspicions, nodes.c.name).join(nodes).order_by(suspicions.c.last_seen.desc(), suspicions.c.id)
    query = query.where(suspicions.c.node_id == node) if node else query.where(nodes.c.state != "retired")
    return [
        Suspicion(
            row.node_id, row.name, row.code, KINDS[row.code].title, KINDS[row.code].hint, row.detail, row.first_seen,
            row.last_seen, row.times,
        )
        for row in connection.execute(query.limit(_LISTED))
    ]  # fmt: skip


def _entry(row: Row[Any]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in Entry.__struct_fields__}
    return values | {"late": bool(row.late)}


def _details(connection: Connection, row: Row[Any]) -> Details:
    own = ("claimed_name", "toplevel", "manifest_digest", "lag", "observed_digest", "policy_digest", "config_digest",
           "node_data_digest", "verifier", "started", "unlisted", "extra")  # fmt: skip
    wrong = select(findings).where(findings.c.report_id == row.id).order_by(findings.c.position)
    other = select(differing).where(differing.c.report_id == row.id).order_by(differing.c.position).limit(_LISTED)
    return Details(
        **_entry(row),
        **{name: getattr(row, name) for name in own},
        node=row.node_id,
        counts=msgspec.json.decode(row.counts, type=dict[str, int]),
        coverage=_COVERAGE.decode(row.coverage),
        findings=[
            Finding(one.code, one.severity, one.path, one.message, one.hint) for one in connection.execute(wrong)
        ],
        differing=[Differing(one.kind, one.path, one.nar_hash) for one in connection.execute(other)],
    )
