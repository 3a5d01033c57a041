"""What the tests of attestations share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.ec_release.whole_release import Release, described

from ec_release.attesting import cyclonedx, sbom

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_closure import manifest


@pytest.fixture
def release(place: Any, command: Callable[..., tuple[int, str, str]]) -> Release:
    """Give a whole release that was not published yet."""
    made = Release(place.path / "dist", place, command)
    made.write()
    return made


@pytest.fixture
def system() -> manifest.Manifest:
    """Give the manifest of a system."""
    return described()


@pytest.fixture
def bill(system: manifest.Manifest) -> cyclonedx.Bom:
    """Give its bill of materials."""
    return sbom.make(system, tool_version="1")
