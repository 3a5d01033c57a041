"""Closure manifests, by the SHA-256 of their bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner_dashboard.data.types import NUMBER, TEXT

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "manifests",
        sa.Column("digest", TEXT, nullable=False),
        sa.Column("tag", TEXT, nullable=False),
        sa.Column("version", NUMBER, nullable=False),
        sa.Column("system", TEXT, nullable=False),
        sa.Column("toplevel", TEXT, nullable=False),
        sa.Column("paths", NUMBER, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("added_at", NUMBER, nullable=False),
        sa.Column("added_by", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_manifests")),
    )
