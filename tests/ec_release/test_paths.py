"""A directory stands for the files in it, and for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_closure.errors import UsageError
from ec_release.commands.paths import expanded, files_in

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_stands_for_its_files(tmp_path: Path) -> None:
    """In the order of their names, between files that are named themselves; an empty one for none."""
    for name in ("b", "a"):
        (tmp_path / name).write_text("")
    (tmp_path.parent / "empty").mkdir(exist_ok=True)

    found = expanded([tmp_path / "b", tmp_path, tmp_path.parent / "empty", tmp_path / "none"])

    assert [tmp_path / "b", tmp_path / "a", tmp_path / "b", tmp_path / "none"] == list(found)


@pytest.mark.parametrize("other", ["directory", "link", "hidden"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, other: str) -> None:
    """It is neither published nor passed over by accident."""
    if other == "directory":
        (tmp_path / "more").mkdir()
    elif other == "link":
        (tmp_path / "link").symlink_to("/etc/passwd")
    else:
        (tmp_path / ".secret").write_text("")

    with pytest.raises(UsageError, match="is no plain file"):
        files_in(tmp_path)


def test_no_directory_is_told(tmp_path: Path) -> None:
    """With its place."""
    with pytest.raises(UsageError, match="cannot be read"):
        files_in(tmp_path / "none")
