"""One lab for all attacks of a worker: build machine, server and a pristine node, of which every test takes a copy."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_verify.demo.node import Node


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Build, sign and publish the appliance and install a node with it, once."""
    if os.geteuid() != 0:
        pytest.skip("not running as root")
    with Lab(tmp_path_factory.mktemp("lab")) as built:
        yield built.build()


@pytest.fixture
def node(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Node]:
    """Give a copy of the pristine node that belongs to one test."""
    fresh = lab.clone_node(re.sub(r"[^A-Za-z0-9-]+", "-", request.node.name))
    with fresh.cleanup:
        yield fresh
