"""A registry on loopback, and images to put into it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.ec_release.container.local_registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Give a running registry that holds nothing."""
    for program in ("docker-registry", "skopeo"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on the PATH")
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running
