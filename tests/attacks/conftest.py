"""Every test takes a copy of the pristine node."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node


@pytest.fixture
def node(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Node]:
    """Give a copy of the pristine node that belongs to one test."""
    fresh = lab.clone_node(re.sub(r"[^A-Za-z0-9-]+", "-", request.node.name))
    with fresh.cleanup:
        yield fresh
