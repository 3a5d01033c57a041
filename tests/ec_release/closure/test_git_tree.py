"""What a commit may hold to be written: nothing that leads out of the directory it is written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_closure.errors import LimitError
from ec_release.closure import git_tree
from ec_release.closure.errors import SourceError
from ec_release.closure.git_tree import Entry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "names", [["../x"], ["a/../../x"], ["/x"], [".git/config"], ["a", "a/b"], ["a", "a/b/c"], ["a//b"], ["."]]
)
def test_names_that_lead_elsewhere_are_refused(names: list[str]) -> None:
    """By us, whatever git lets through: through a link, upwards, or to the top."""
    with pytest.raises(SourceError):
        git_tree.check([Entry("120000" if name == "a" else "100644", "0" * 40, 1, name) for name in names])


@pytest.mark.parametrize(("mode", "reason"), [("160000", "a submodule"), ("040000", "of the mode 040000")])
def test_what_is_neither_a_file_nor_a_link_is_refused(mode: str, reason: str) -> None:
    """Nodes would not have it."""
    with pytest.raises(SourceError, match=f"sub: {reason}"):
        git_tree.check([Entry(mode, "0" * 40, 0, "sub")])


def test_a_commit_that_is_too_large_is_not_asked_for(tmp_path: Path) -> None:
    """Its sizes stand in the listing: none of its bytes is fetched, and nothing is written."""

    def git(*arguments: str, stdin: bytes = b"") -> bytes:
        assert arguments[0] == "ls-tree", stdin
        return f"100644 blob {'0' * 40} {1 << 30}\thuge\0".encode()

    with pytest.raises(LimitError, match="bytes"):
        git_tree.export(git, "0" * 40, tmp_path / "out")
    assert not (tmp_path / "out").exists()
