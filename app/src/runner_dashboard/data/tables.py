"""The tables. Times are seconds since 1970; what nodes and people wrote is text as it came, escaped where it is shown.

Changed by a migration alone: a test compares what migrations make with what stands here.
"""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
)

from runner_dashboard.data.types import NUMBER, TEXT

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str) -> Column[str]:
    return Column(name, TEXT, nullable=False)


def _maybe_text(name: str) -> Column[str]:
    return Column(name, TEXT, nullable=True)


def _number(name: str) -> Column[int]:
    return Column(name, NUMBER, nullable=False)


def _maybe_number(name: str) -> Column[int]:
    return Column(name, NUMBER, nullable=True)


def _of(name: str, column: str) -> Column[str]:
    return Column(name, TEXT, ForeignKey(column), nullable=False)


# A node is its key: *id* is made of it. What stands after *claimed_name* repeats the report with the highest counter.
nodes = Table(
    "nodes",
    METADATA,
    Column("id", TEXT, primary_key=True),
    _text("public_key"),
    _text("keyid"),
    _text("state"),
    _text("name"),
    _text("claimed_name"),
    _number("first_seen"),
    _maybe_number("decided_at"),
    _maybe_text("decided_by"),
    _number("last_received"),
    _number("last_fresh"),
    _number("counter"),
    _maybe_number("current_report"),
    _text("verdict"),
    _text("level"),
    _text("tag"),
    _number("version"),
    _text("toplevel"),
    _number("fails"),
    _number("warns"),
    CheckConstraint("state IN ('pending', 'enrolled', 'retired')", name="state"),
    UniqueConstraint("public_key"),
    Index(None, "keyid"),
    Index(None, "state", "name", "id"),
    Index(None, "state", "last_received", "id"),
    Index(None, "state", "tag", "id"),
)

reports = Table(
    "reports",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    _of("node_id", "nodes.id"),
    _text("digest"),
    _number("received"),
    _number("late"),
    _text("boot_id"),
    _number("counter"),
    _maybe_text("nonce"),
    _text("claimed_name"),
    _number("started"),
    _number("finished"),
    _text("verdict"),
    _text("level_asked"),
    _text("level_reached"),
    _text("toplevel"),
    _text("manifest_digest"),
    _text("tag"),
    _number("version"),
    _maybe_number("lag"),
    _text("observed_digest"),
    _text("policy_digest"),
    _text("config_digest"),
    _text("node_data_digest"),
    _text("verifier"),
    _text("verdicts"),
    _text("counts"),
    _text("coverage"),
    _number("unlisted"),
    _number("extra"),
    _number("fails"),
    _number("warns"),
    _number("infos"),
    UniqueConstraint("digest"),
    UniqueConstraint("nonce"),
    UniqueConstraint("node_id", "boot_id", "counter"),
    Index(None, "node_id", "counter"),
    Index(None, "received"),
)

# The envelope as it came, compressed: what anybody can verify again.
evidence = Table(
    "evidence",
    METADATA,
    Column("report_id", NUMBER, ForeignKey("reports.id"), primary_key=True),
    Column("envelope", LargeBinary, nullable=False),
    _number("size"),
)

findings = Table(
    "findings",
    METADATA,
    Column("report_id", NUMBER, ForeignKey("reports.id"), primary_key=True),
    Column("position", NUMBER, primary_key=True),
    _text("code"),
    _text("severity"),
    _maybe_text("path"),
    _text("message"),
    _text("hint"),
    # The overview counts all that is open: from this alone.
    Index(None, "report_id", "code", "severity"),
)

# Paths whose bytes are not those that CI signed: as they lie on the disk, or as this node rebuilt them.
differing = Table(
    "differing",
    METADATA,
    Column("report_id", NUMBER, ForeignKey("reports.id"), primary_key=True),
    Column("position", NUMBER, primary_key=True),
    _text("kind"),
    _text("path"),
    _text("nar_hash"),
    CheckConstraint("kind IN ('disk', 'rebuilt')", name="kind"),
)

# What the dashboard itself concludes from several reports; see `runner_dashboard.ingest.suspicion`.
suspicions = Table(
    "suspicions",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    _of("node_id", "nodes.id"),
    _text("code"),
    _number("first_seen"),
    _number("last_seen"),
    _number("times"),
    _text("detail"),
    UniqueConstraint("node_id", "code"),
)

tokens = Table(
    "tokens",
    METADATA,
    Column("id", TEXT, primary_key=True),
    _text("secret_hash"),
    _text("name"),
    _text("role"),
    _text("scopes"),
    _text("origin"),
    _text("made_by"),
    _number("made_at"),
    _maybe_number("expires_at"),
    _maybe_number("revoked_at"),
    CheckConstraint("role IN ('viewer', 'operator', 'admin')", name="role"),
    CheckConstraint("origin IN ('made', 'printed', 'file')", name="origin"),
)

enrolments = Table(
    "enrolments",
    METADATA,
    Column("id", TEXT, primary_key=True),
    _text("secret_hash"),
    _text("name"),
    _text("made_by"),
    _number("made_at"),
    _number("expires_at"),
    _maybe_number("used_at"),
    _maybe_text("used_by"),
    _maybe_number("revoked_at"),
)

# People whom another service vouches for. *groups* is a JSON list of names; what they may stands in the configuration.
people = Table(
    "people",
    METADATA,
    Column("id", TEXT, primary_key=True),
    _text("provider"),
    _text("subject"),
    _text("login"),
    _text("name"),
    _text("groups"),
    _number("first_seen"),
    _number("last_seen"),
    UniqueConstraint("provider", "subject"),
)

# *owner* is `token:ID` or `person:ID`; see `runner_dashboard.identity.owners`.
sessions = Table(
    "sessions",
    METADATA,
    Column("id_hash", TEXT, primary_key=True),
    _text("owner"),
    _number("made_at"),
    _number("expires_at"),
    Index(None, "expires_at"),
)

# Public keys that browsers and their devices hold the other half of. *id* is the credential's, in base64url.
passkeys = Table(
    "passkeys",
    METADATA,
    Column("id", TEXT, primary_key=True),
    _text("owner"),
    Column("credential", LargeBinary, nullable=False),
    _number("counter"),
    _text("name"),
    _number("made_at"),
    _maybe_number("used_at"),
    Index(None, "owner"),
)

# What was begun and waits for a browser to come back; see `runner_dashboard.identity.flows`.
flows = Table(
    "flows",
    METADATA,
    Column("id_hash", TEXT, primary_key=True),
    _text("purpose"),
    _text("data"),
    _number("expires_at"),
    Index(None, "expires_at"),
)

# Which key took the place of which: the machine is the same, and so is its name.
successions = Table(
    "successions",
    METADATA,
    Column("new", TEXT, ForeignKey("nodes.id"), primary_key=True),
    _of("old", "nodes.id"),
    _number("at"),
    _text("by"),
    UniqueConstraint("old"),
)

# Who knows of which findings, and until when; an empty *node* or *path* is every one.
acknowledgements = Table(
    "acknowledgements",
    METADATA,
    Column("id", TEXT, primary_key=True),
    _text("code"),
    _text("node"),
    _text("path"),
    _text("owner"),
    _text("reason"),
    _text("made_by"),
    _number("made_at"),
    _number("expires_at"),
    _maybe_number("revoked_at"),
    Index(None, "code", "expires_at"),
)

# What operators are woken for. One of a kind is active on a node at one time: `ended` is empty until it is over.
alarms = Table(
    "alarms",
    METADATA,
    Column("id", TEXT, primary_key=True),
    _text("kind"),
    _of("node", "nodes.id"),
    _text("detail"),
    _number("began"),
    _maybe_number("ended"),
    Index(None, "ended"),
)
Index(
    "ix_alarms_active", alarms.c.kind, alarms.c.node, unique=True,
    sqlite_where=alarms.c.ended.is_(None), postgresql_where=alarms.c.ended.is_(None),
)  # fmt: skip

# Messages about alarms: in line until they were sent (or given up, with *error*), the next try at *next_at*.
deliveries = Table(
    "deliveries",
    METADATA,
    Column("id", TEXT, primary_key=True),
    _of("alarm_id", "alarms.id"),
    _text("what"),
    _number("made_at"),
    _number("attempts"),
    _number("next_at"),
    _maybe_number("sent_at"),
    _text("error"),
    Index(None, "sent_at", "next_at"),
)

# What the letters of reports are about; *digest* is the SHA-256 of *data*, a manifest as it was published.
manifests = Table(
    "manifests",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    _text("tag"),
    _number("version"),
    _text("system"),
    _text("toplevel"),
    _number("paths"),
    Column("data", LargeBinary, nullable=False),
    _number("added_at"),
    _text("added_by"),
)

# What the release gate said, as CI brought it: a document of `ec_closure.release_gate`.
judgements = Table(
    "judgements",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    _text("revision"),
    _number("at"),
    _text("by"),
    _number("passed"),
    Column("document", LargeBinary, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    Column("secret", LargeBinary, nullable=False),
    _number("made_at"),
)

# Who did what, and what was refused to whom. Refusals that repeat within a minute count in *times*.
audit = Table(
    "audit",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    _number("at"),
    _number("last"),
    _number("times"),
    _text("actor"),
    _text("action"),
    _text("subject"),
    _text("outcome"),
    _text("detail"),
    CheckConstraint("outcome IN ('done', 'refused')", name="outcome"),
    Index(None, "outcome", "last"),
)

# Events for the other servers of one PostgreSQL: see `runner_dashboard.events.shared`. The newest are kept.
events = Table(
    "events",
    METADATA,
    Column("id", NUMBER, primary_key=True),
    _text("kind"),
    _text("node"),
    _number("at"),
)

# What remains of reports that were removed: that they were taken once, and numbers by day. See `retention`.
forgotten = Table(
    "forgotten",
    METADATA,
    Column("digest", TEXT, primary_key=True),
    _number("at"),
)

days = Table(
    "days",
    METADATA,
    Column("day", NUMBER, primary_key=True, autoincrement=False),
    Column("tag", TEXT, primary_key=True),
    Column("version", NUMBER, primary_key=True, autoincrement=False),
    Column("verdict", TEXT, primary_key=True),
    _number("nodes"),
    _text("paths"),
)
