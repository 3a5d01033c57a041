"""What the tests of release authority share."""

from __future__ import annotations

import pytest
from tests.ec_release.authority.world import Repository


@pytest.fixture
def repository() -> Repository:
    """Give a repository that is as it is declared."""
    return Repository()
