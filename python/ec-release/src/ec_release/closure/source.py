"""The commit that is released, and its files exactly as nodes will have them.

The files come out of git's object store, not out of the working tree: no attribute, filter, line-ending rule or
ignored file can then make a difference between this machine and a node (pitfalls P25, P28). A dirty tree is refused
all the same, because whoever runs this believes to release what they see.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_release import program
from ec_release.closure import git_tree
from ec_release.closure.errors import DirtyTreeError, SourceError, UnmergedError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_NAMED = 3


@dataclass(frozen=True)
class Commit:
    """What is released: *issued* is the commit's time in seconds since 1970. *git* is unset for an export."""

    rev: str
    issued: int
    git: Path | None = None


def read_commit(directory: Path) -> Commit:
    """Return the commit that the git checkout at *directory* holds.

    Raises `DirtyTreeError` when files differ from it, untracked ones included; `SourceError` when *directory* is not
    the top of a checkout; `ProgramError` when git fails.
    """
    if not (directory / ".git").exists():
        raise SourceError(
            "not the top of a git checkout",
            place=str(directory),
            hint="the flake lies at the top of its repository; for an export without git give --rev and --issued",
        )
    changes = [
        entry[3:]
        for entry in _git(directory, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
        .decode(errors="replace")
        .split("\0")
        if entry
    ]
    if changes:
        named = ", ".join(changes[:_MAX_NAMED]) + (" …" if len(changes) > _MAX_NAMED else "")
        raise DirtyTreeError(
            f"{len(changes)} files differ from the commit: {named}",
            place=str(directory),
            hint="commit or remove them: what is released must be what the commit holds",
        )
    rev, issued = _git(directory, "show", "--no-patch", "--format=%H %ct", "HEAD").decode().split()
    return Commit(rev, int(issued), directory)


def commit_of_tag(directory: Path, tag: str) -> str | None:
    """Return the revision that *tag* leads to in the git checkout at *directory*, None where it is not known.

    Not checked: whether it is signed. Raises `ProgramError` when git fails.
    """
    found = _git(directory, "for-each-ref", "--format=%(objectname) %(*objectname)", f"refs/tags/{tag}").decode()
    # Of a tag that has an object of its own, the commit stands behind it.
    return found.split()[-1] if found.strip() else None


def later_commits(directory: Path, commit: str, branch: str) -> frozenset[str] | None:
    """Return what *branch* got on top of *commit* by the time that the git checkout at *directory* was made.

    *commit* is a full revision, *branch* one of the remote `origin`. None where the checkout cannot tell: its history
    is not whole, or it lacks one of the two. Raises `ProgramError` when git fails.
    """
    known = _both(directory, commit, branch)
    if known is None:
        return None
    ours, head = known
    return frozenset(_git(directory, "rev-list", "--ancestry-path", f"{ours}..{head}").decode().split())


def check_merged(directory: Path, commit: str, branch: str) -> None:
    """Refuse a *commit*, a full revision, that the *branch* of the remote `origin` does not hold.

    What is compared is what `origin` had when the git checkout at *directory* was made. Raises `UnmergedError`, also
    where the checkout cannot tell; `ProgramError` when git fails.
    """
    known = _both(directory, commit, branch)
    if known is None:
        raise UnmergedError(
            f"does not tell whether {branch} holds {commit}",
            place=str(directory),
            hint="actions/checkout with `fetch-depth: 0`",
        )
    ours, head = known
    if _git(directory, "rev-list", "--max-count=1", ours, f"^{head}").strip():
        raise UnmergedError(
            f"is not on {branch}",
            place=commit,
            hint=f"merge it, wait for the checks of {branch}, and tag what came of it",
        )


def _both(directory: Path, commit: str, branch: str) -> tuple[str, str] | None:
    """Return *commit* and the head of *branch*, None where the history is not whole or lacks one of the two."""
    if _git(directory, "rev-parse", "--is-shallow-repository").strip() != b"false":
        return None
    wanted = f"{commit}^{{commit}}\nrefs/remotes/origin/{branch}^{{commit}}\n".encode()
    found = [line.split() for line in _git(directory, "cat-file", "--batch-check", stdin=wanted).decode().splitlines()]
    if any(line[1:2] != ["commit"] for line in found):
        return None
    (ours, *_), (head, *_) = found
    return ours, head


def export(directory: Path, commit: Commit, target: Path) -> None:
    """Write the files of *commit* to the new directory *target*.

    Of a checkout, the blobs as committed; of an export, a plain copy. Raises what `git_tree.export` raises, and
    `ProgramError` when git fails.
    """
    if commit.git is None:
        shutil.copytree(directory, target, symlinks=True)
        return
    git_tree.export(partial(_git, directory), commit.rev, target)


def _git(directory: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    env = program.environment(GIT_OPTIONAL_LOCKS="0")
    try:
        return program.ask(["git", "-C", str(directory), *arguments], env=env, stdin=stdin).output
    except program.FailedError as error:
        said = excerpt(" ".join(error.said.split()), 300)
        raise program.ProgramError(f"git {arguments[0]} failed: {said}", place=str(directory)) from error
