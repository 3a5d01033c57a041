"""The commit that is released: exactly its files, and nothing from a tree that differs from it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from ec_release.closure.errors import DirtyTreeError, SourceError, UnmergedError
from ec_release.closure.source import Commit, check_merged, export, later_commits, read_commit
from ec_release.program import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_release.closure.conftest import Repository

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git on the PATH")


@pytest.fixture
def repository(new_repository: Callable[[str], Repository]) -> Repository:
    """Give a repository with one commit: a file, a program and a link."""
    made = new_repository("repository")
    (made.top / "flake.nix").write_text("{ }\n")
    (made.top / "bin").mkdir()
    (made.top / "bin" / "run").write_text("#!/bin/sh\n")
    (made.top / "bin" / "run").chmod(0o755)
    (made.top / "link").symlink_to("bin/run")
    (made.top / ".gitignore").write_text("ignored\n")
    made.commit()
    return made


def test_commit_and_its_time_are_read(repository: Repository) -> None:
    """The revision and the time are those of the commit, not of the clock."""
    commit = read_commit(repository.top)

    assert repository.git("rev-parse", "HEAD") == commit.rev
    assert int(repository.git("show", "--no-patch", "--format=%ct")) == commit.issued


@pytest.mark.parametrize("change", ["modified", "untracked", "deleted", "staged", "mode"])
def test_tree_that_differs_is_refused(repository: Repository, change: str) -> None:
    """Whatever differs from the commit, nobody else could build it; the file is named."""
    file = repository.top / "flake.nix"
    if change == "untracked":
        file = repository.top / "new.nix"
    if change == "deleted":
        file.unlink()
    elif change == "mode":
        file.chmod(0o755)
    else:
        file.write_text("{ changed = true; }\n")
    if change == "staged":
        repository.git("add", "--all")

    with pytest.raises(DirtyTreeError, match=file.name.replace(".", r"\.")):
        read_commit(repository.top)


def test_ignored_files_are_no_difference(repository: Repository, tmp_path: Path) -> None:
    """They are not released either."""
    (repository.top / "ignored").write_text("result of a build")
    export(repository.top, read_commit(repository.top), tmp_path / "export")

    assert not (tmp_path / "export" / "ignored").exists()


def test_settings_of_the_user_do_not_hide_untracked_files(repository: Repository) -> None:
    """Git can be told not to show them; it is told otherwise."""
    repository.git("config", "status.showUntrackedFiles", "no")
    (repository.top / "new.nix").write_text("{ }\n")

    with pytest.raises(DirtyTreeError):
        read_commit(repository.top)


def test_export_has_the_files_of_the_commit(repository: Repository, tmp_path: Path) -> None:
    """Content, execute bit and links; no .git."""
    target = tmp_path / "export"
    export(repository.top, read_commit(repository.top), target)

    assert {".gitignore", "bin", "flake.nix", "link"} == {entry.name for entry in target.iterdir()}
    assert "bin/run" == os.readlink(target / "link")  # noqa: PTH115 - the text itself
    assert (0o755, 0o644) == tuple((target / name).stat().st_mode & 0o777 for name in ("bin/run", "flake.nix"))


def test_attributes_do_not_change_what_is_exported(repository: Repository, tmp_path: Path) -> None:
    """Git's filters and archive attributes are not applied: nodes do not have them."""
    (repository.top / ".gitattributes").write_text(
        "id.nix export-subst ident\nleft-out.nix export-ignore\nlines.nix eol=crlf\n"
    )
    (repository.top / "id.nix").write_text("# $Id$ $Format:%H$\n")
    (repository.top / "left-out.nix").write_text("{ }\n")
    (repository.top / "lines.nix").write_text("{ }\n")
    repository.commit()
    shutil.rmtree(repository.top / "bin")
    repository.git("checkout", "--quiet", "--", ".")
    target = tmp_path / "export"
    export(repository.top, read_commit(repository.top), target)

    assert "# $Id$ $Format:%H$\n" == (target / "id.nix").read_text()
    assert b"{ }\n" == (target / "lines.nix").read_bytes()
    assert (target / "left-out.nix").exists()


def test_names_with_odd_bytes_survive(repository: Repository, tmp_path: Path) -> None:
    """File names are bytes: line feeds, quotes and what is no UTF-8 included."""
    name = os.fsdecode(b'a\n"b\xff')
    (repository.top / name).write_text("x")
    repository.commit()
    export(repository.top, read_commit(repository.top), tmp_path / "export")

    assert "x" == (tmp_path / "export" / name).read_text()


def test_submodule_is_refused(
    repository: Repository, new_repository: Callable[[str], Repository], tmp_path: Path
) -> None:
    """A flake's source has none of its files."""
    other = new_repository("other")
    (other.top / "file").write_text("x")
    other.commit()
    repository.git("submodule", "--quiet", "add", str(other.top), "sub")
    repository.commit()

    with pytest.raises(SourceError, match="sub: a submodule"):
        export(repository.top, read_commit(repository.top), tmp_path / "export")


def test_directory_below_the_top_is_refused(repository: Repository) -> None:
    """Nodes evaluate the top of what they carry."""
    with pytest.raises(SourceError, match="not the top of a git checkout"):
        read_commit(repository.top / "bin")


def test_repository_without_a_commit_is_told(new_repository: Callable[[str], Repository]) -> None:
    """Git's own words are passed on."""
    with pytest.raises(ProgramError, match="git show failed"):
        read_commit(new_repository("empty").top)


def test_export_without_git_is_copied_as_it_is(tmp_path: Path) -> None:
    """Somebody else made it from a commit, and says which."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "flake.nix").write_text("{ }\n")
    (tree / "link").symlink_to("nowhere")
    export(tree, Commit("abc", 1), tmp_path / "export")

    assert "{ }\n" == (tmp_path / "export" / "flake.nix").read_text()
    assert "nowhere" == os.readlink(tmp_path / "export" / "link")  # noqa: PTH115 - the text itself


def changed(repository: Repository, text: str) -> str:
    """Commit a change, and return its revision."""
    (repository.top / "flake.nix").write_text(f"{{ a = {text}; }}\n")
    repository.commit()
    return repository.git("rev-parse", "HEAD")


def test_what_came_later_is_told_from_the_whole_history(repository: Repository, tmp_path: Path) -> None:
    """Commits of the branch that stand on ours: neither those before it, nor what another branch has."""
    before = repository.git("rev-parse", "HEAD")
    ours = changed(repository, "1")
    repository.git("branch", "topic")
    later = set()
    for number in range(2):
        later.add(changed(repository, f"2{number}"))
    repository.git("branch", "--move", "main")
    repository.git("clone", "--quiet", str(repository.top), str(tmp_path / "clone"))

    assert later_commits(tmp_path / "clone", ours, "main") == later
    assert later_commits(tmp_path / "clone", before, "main") == later | {ours}
    assert later_commits(tmp_path / "clone", max(later), "topic") == set()


@pytest.mark.parametrize("lacking", ["history", "commit", "branch"])
def test_a_checkout_that_cannot_tell_says_so(repository: Repository, tmp_path: Path, lacking: str) -> None:
    """It is never taken for one where nothing came later."""
    head = changed(repository, "1")
    repository.git("branch", "--move", "main")
    depth = ["--depth=1"] if lacking == "history" else []
    repository.git("clone", "--quiet", *depth, f"file://{repository.top}", str(tmp_path / "clone"))
    commit = "0" * 40 if lacking == "commit" else head

    branch = "none" if lacking == "branch" else "main"
    assert later_commits(tmp_path / "clone", commit, branch) is None
    with pytest.raises(UnmergedError, match="does not tell"):
        check_merged(tmp_path / "clone", commit, branch)


def test_a_commit_counts_once_its_branch_holds_it(repository: Repository, tmp_path: Path) -> None:
    """As the branch's head, as one before it, or merged from an old line; a tag alone does not make it."""
    before = repository.git("rev-parse", "HEAD")
    repository.git("branch", "--move", "main")
    repository.git("checkout", "--quiet", "-b", "old-line")
    ours = changed(repository, "1")
    repository.git("tag", "v1.0.1")
    repository.git("checkout", "--quiet", "main")
    repository.git("clone", "--quiet", str(repository.top), str(tmp_path / "clone"))

    check_merged(tmp_path / "clone", before, "main")
    with pytest.raises(UnmergedError, match="is not on main"):
        check_merged(tmp_path / "clone", ours, "main")
    repository.git("merge", "--quiet", "--no-ff", "--message", "x", "old-line")
    repository.git("-C", str(tmp_path / "clone"), "fetch", "--quiet")
    check_merged(tmp_path / "clone", ours, "main")
