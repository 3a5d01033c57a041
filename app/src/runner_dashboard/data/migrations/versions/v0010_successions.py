"""Which key took the place of which."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner_dashboard.data.types import NUMBER, TEXT

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "successions",
        sa.Column("new", TEXT, nullable=False),
        sa.Column("old", TEXT, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["new"], ["nodes.id"], name=op.f("fk_successions_new")),
        sa.ForeignKeyConstraint(["old"], ["nodes.id"], name=op.f("fk_successions_old")),
        sa.PrimaryKeyConstraint("new", name=op.f("pk_successions")),
        sa.UniqueConstraint("old", name=op.f("uq_successions_old")),
    )
