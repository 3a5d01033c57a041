"""A few publishers that are killed; `./dev chaos publish` kills more of them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.chaos import publishing

if TYPE_CHECKING:
    from pathlib import Path


def test_publishers_that_are_killed_publish_the_same_release(tmp_path: Path) -> None:
    """Real processes, SIGKILL, at random moments; nobody ever sees half a release."""
    table = publishing.main(tmp_path, 4, Random(5))  # noqa: S311 - to be repeated
    assert "kills" in table
