"""Digests of reports that were removed, numbers by day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner_dashboard.data.types import NUMBER, TEXT

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "days",
        sa.Column("day", NUMBER, nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("verdict", TEXT, nullable=False),
        sa.Column("nodes", NUMBER, nullable=False),
        sa.Column("paths", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("day", "tag", "version", "verdict", name=op.f("pk_days")),
    )
    op.create_table(
        "forgotten",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_forgotten")),
    )
