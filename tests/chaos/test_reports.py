"""A dashboard that is killed a few times; `./dev chaos reports` kills it more often."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.chaos import reports

if TYPE_CHECKING:
    from pathlib import Path


def test_reports_outlive_a_dashboard_that_is_killed(tmp_path: Path) -> None:
    """Real processes, SIGKILL, at random moments, on one database."""
    assert "servers killed" in reports.main(tmp_path, 200, Random(5))  # noqa: S311 - to be repeated
