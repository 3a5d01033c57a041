"""Who knows of which findings, and until when."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner_dashboard.data.types import NUMBER, TEXT

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "acknowledgements",
        sa.Column("id", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("node", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("made_by", TEXT, nullable=False),
        sa.Column("made_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("revoked_at", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_acknowledgements")),
    )
    op.create_index(
        op.f("ix_acknowledgements_code_expires_at"), "acknowledgements", ["code", "expires_at"], unique=False
    )
