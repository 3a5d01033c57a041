"""People, passkeys and what sign-ins wait for. Sessions belong to tokens or people: those that are open end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner_dashboard.data.types import NUMBER, TEXT

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and that of sessions anew."""
    op.drop_index(op.f("ix_sessions_expires_at"), "sessions")
    op.drop_table("sessions")
    op.create_table(
        "sessions",
        sa.Column("id_hash", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("made_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_sessions")),
    )
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"], unique=False)
    op.create_table(
        "people",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("provider", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("login", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("groups", TEXT, nullable=False),
        sa.Column("first_seen", NUMBER, nullable=False),
        sa.Column("last_seen", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("provider", "subject", name=op.f("uq_people_provider_subject")),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("credential", sa.LargeBinary(), nullable=False),
        sa.Column("counter", NUMBER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("made_at", NUMBER, nullable=False),
        sa.Column("used_at", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
    )
    op.create_index(op.f("ix_passkeys_owner"), "passkeys", ["owner"], unique=False)
    op.create_table(
        "flows",
        sa.Column("id_hash", TEXT, nullable=False),
        sa.Column("purpose", TEXT, nullable=False),
        sa.Column("data", TEXT, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_flows")),
    )
    op.create_index(op.f("ix_flows_expires_at"), "flows", ["expires_at"], unique=False)
