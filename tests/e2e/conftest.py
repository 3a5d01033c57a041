"""A whole world for tests from end to end: build machine, release server, nodes (see `ec_verify.demo.lab`)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Build, sign and publish the appliance and install a node with it, once."""
    if os.geteuid() != 0:
        pytest.skip("not running as root")
    with Lab(tmp_path_factory.mktemp("lab")) as built:
        yield built.build()
