"""Opening what must be a regular file, where somebody may have put something else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_closure.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    """As it is."""
    (tmp_path / "file").write_bytes(b"words")

    with open_regular(tmp_path / "file") as file:
        assert b"words" == file.read()


@pytest.mark.parametrize("kind", ["directory", "fifo", "link", "nothing"])
def test_anything_else_is_refused_and_nothing_stays_open(tmp_path: Path, kind: str) -> None:
    """A directory opens like a file, and whoever gives it to `os.fdopen` keeps its descriptor for ever."""
    path = tmp_path / "it"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(tmp_path)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208 - names only

    with pytest.raises(OSError, match=r"no regular file|[Tt]oo many|[Nn]o such"):
        open_regular(path)

    assert len(before) == len(os.listdir("/proc/self/fd"))  # noqa: PTH208
