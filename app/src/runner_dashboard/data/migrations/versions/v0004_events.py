"""Events that servers of one database tell each other."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner_dashboard.data.types import NUMBER, TEXT

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "events",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("node", TEXT, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
