"""What the tests of workflows share: documents planted in a directory, and a machine to run steps on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.workflows.documents import Document, read
from tests.workflows.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def planted(tmp_path: Path) -> Callable[..., Document]:
    """Give a function that writes a workflow and reads it as one of the repository's."""

    def plant(text: str, name: str = "planted.yml", forge: str = ".github") -> Document:
        file = tmp_path / forge / "workflows" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return read(file)

    return plant


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., Runner]:
    """Give a function that makes a runner; its arguments are the runner's."""

    def make(**arguments: Any) -> Runner:
        return Runner(tmp_path / "machine", **arguments)

    return make
