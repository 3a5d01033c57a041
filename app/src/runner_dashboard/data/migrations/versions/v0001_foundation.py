"""The first schema: nodes, reports with their evidence and rows, identity, audit."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner_dashboard.data.types import NUMBER, TEXT

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("last", NUMBER, nullable=False),
        sa.Column("times", NUMBER, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.CheckConstraint("outcome IN ('done', 'refused')", name=op.f("ck_audit_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_outcome_last"), "audit", ["outcome", "last"], unique=False)
    op.create_table(
        "enrolments",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("made_by", TEXT, nullable=False),
        sa.Column("made_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("used_at", NUMBER, nullable=True),
        sa.Column("used_by", TEXT, nullable=True),
        sa.Column("revoked_at", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolments")),
    )
    op.create_table(
        "nodes",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("public_key", TEXT, nullable=False),
        sa.Column("keyid", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("claimed_name", TEXT, nullable=False),
        sa.Column("first_seen", NUMBER, nullable=False),
        sa.Column("decided_at", NUMBER, nullable=True),
        sa.Column("decided_by", TEXT, nullable=True),
        sa.Column("last_received", NUMBER, nullable=False),
        sa.Column("last_fresh", NUMBER, nullable=False),
        sa.Column("counter", NUMBER, nullable=False),
        sa.Column("current_report", NUMBER, nullable=True),
        sa.Column("verdict", TEXT, nullable=False),
        sa.Column("level", TEXT, nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("toplevel", TEXT, nullable=False),
        sa.Column("fails", NUMBER, nullable=False),
        sa.Column("warns", NUMBER, nullable=False),
        sa.CheckConstraint("state IN ('pending', 'enrolled', 'retired')", name=op.f("ck_nodes_state")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
        sa.UniqueConstraint("public_key", name=op.f("uq_nodes_public_key")),
    )
    op.create_index(op.f("ix_nodes_keyid"), "nodes", ["keyid"], unique=False)
    op.create_index(op.f("ix_nodes_state_last_received_id"), "nodes", ["state", "last_received", "id"], unique=False)
    op.create_index(op.f("ix_nodes_state_name_id"), "nodes", ["state", "name", "id"], unique=False)
    op.create_index(op.f("ix_nodes_state_tag_id"), "nodes", ["state", "tag", "id"], unique=False)
    op.create_table(
        "signing_keys",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("secret_hash", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("scopes", TEXT, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("made_by", TEXT, nullable=False),
        sa.Column("made_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=True),
        sa.Column("revoked_at", NUMBER, nullable=True),
        sa.CheckConstraint("origin IN ('made', 'printed', 'file')", name=op.f("ck_tokens_origin")),
        sa.CheckConstraint("role IN ('viewer', 'operator', 'admin')", name=op.f("ck_tokens_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
    )
    op.create_table(
        "reports",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("node_id", TEXT, nullable=False),
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("received", NUMBER, nullable=False),
        sa.Column("late", NUMBER, nullable=False),
        sa.Column("boot_id", TEXT, nullable=False),
        sa.Column("counter", NUMBER, nullable=False),
        sa.Column("nonce", TEXT, nullable=True),
        sa.Column("claimed_name", TEXT, nullable=False),
        sa.Column("started", NUMBER, nullable=False),
        sa.Column("finished", NUMBER, nullable=False),
        sa.Column("verdict", TEXT, nullable=False),
        sa.Column("level_asked", TEXT, nullable=False),
        sa.Column("level_reached", TEXT, nullable=False),
        sa.Column("toplevel", TEXT, nullable=False),
        sa.Column("manifest_digest", TEXT, nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("lag", NUMBER, nullable=True),
        sa.Column("observed_digest", TEXT, nullable=False),
        sa.Column("policy_digest", TEXT, nullable=False),
        sa.Column("config_digest", TEXT, nullable=False),
        sa.Column("node_data_digest", TEXT, nullable=False),
        sa.Column("verifier", TEXT, nullable=False),
        sa.Column("verdicts", TEXT, nullable=False),
        sa.Column("counts", TEXT, nullable=False),
        sa.Column("coverage", TEXT, nullable=False),
        sa.Column("unlisted", NUMBER, nullable=False),
        sa.Column("extra", NUMBER, nullable=False),
        sa.Column("fails", NUMBER, nullable=False),
        sa.Column("warns", NUMBER, nullable=False),
        sa.Column("infos", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_reports_node_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reports")),
        sa.UniqueConstraint("digest", name=op.f("uq_reports_digest")),
        sa.UniqueConstraint("node_id", "boot_id", "counter", name=op.f("uq_reports_node_id_boot_id_counter")),
        sa.UniqueConstraint("nonce", name=op.f("uq_reports_nonce")),
    )
    op.create_index(op.f("ix_reports_node_id_counter"), "reports", ["node_id", "counter"], unique=False)
    op.create_index(op.f("ix_reports_received"), "reports", ["received"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("id_hash", TEXT, nullable=False),
        sa.Column("token_id", TEXT, nullable=False),
        sa.Column("made_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name=op.f("fk_sessions_token_id")),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"], unique=False)
    op.create_table(
        "suspicions",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("node_id", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("first_seen", NUMBER, nullable=False),
        sa.Column("last_seen", NUMBER, nullable=False),
        sa.Column("times", NUMBER, nullable=False),
        sa.Column("detail", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_suspicions_node_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_suspicions")),
        sa.UniqueConstraint("node_id", "code", name=op.f("uq_suspicions_node_id_code")),
    )
    op.create_table(
        "differing",
        sa.Column("report_id", NUMBER, nullable=False),
        sa.Column("position", NUMBER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("nar_hash", TEXT, nullable=False),
        sa.CheckConstraint("kind IN ('disk', 'rebuilt')", name=op.f("ck_differing_kind")),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name=op.f("fk_differing_report_id")),
        sa.PrimaryKeyConstraint("report_id", "position", name=op.f("pk_differing")),
    )
    op.create_table(
        "evidence",
        sa.Column("report_id", NUMBER, nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("size", NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name=op.f("fk_evidence_report_id")),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_evidence")),
    )
    op.create_table(
        "findings",
        sa.Column("report_id", NUMBER, nullable=False),
        sa.Column("position", NUMBER, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("severity", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=True),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("hint", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["report_id"], ["reports.id"], name=op.f("fk_findings_report_id")),
        sa.PrimaryKeyConstraint("report_id", "position", name=op.f("pk_findings")),
    )
    # ### end Alembic commands ###
