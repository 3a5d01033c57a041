"""Findings are counted by code without being read."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the index."""
    op.create_index(
        op.f("ix_findings_report_id_code_severity"), "findings", ["report_id", "code", "severity"], unique=False
    )
