"""What the release gate said, as CI brought it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from runner_dashboard.data.types import NUMBER, TEXT

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "judgements",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("revision", TEXT, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("passed", NUMBER, nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_judgements")),
    )
