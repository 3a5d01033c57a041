"""The files of a commit, out of git's object store: blobs as committed, no attribute, filter or rule of line endings.

Git checks names when objects arrive; here they are looked at once more, because what is written may be a stranger's.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ec_closure.errors import LimitError
from ec_release.closure.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAX_TREE = 256 << 20
_MAX_FILES = 500_000
_MODES = {"100644": 0o644, "100755": 0o755}
_SYMLINK = "120000"
_SUBMODULE = "160000"


class Git(Protocol):
    """Git on one repository."""

    def __call__(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return what the command prints, or raise."""


@dataclass(frozen=True)
class Entry:
    """One file of a commit, by its path in it; *size* is in bytes."""

    mode: str
    blob: str
    size: int
    name: str


def export(git: Git, commit: str, target: Path) -> None:
    """Write the files of *commit* to the new directory *target*.

    Raises `SourceError` for submodules, for names that lead elsewhere and for what this machine's file system does not
    take, `LimitError`, and what *git* raises.
    """
    entries = [_entry(line) for line in git("ls-tree", "-r", "-l", "-z", "--full-tree", commit).split(b"\0") if line]
    if len(entries) > _MAX_FILES or sum(entry.size for entry in entries) > _MAX_TREE:
        raise LimitError(f"more than {_MAX_FILES} files or {_MAX_TREE} bytes", place=f"commit {commit}")
    check(entries)
    target.mkdir()
    answer = git("cat-file", "--batch", stdin="".join(f"{entry.blob}\n" for entry in entries).encode())
    at = 0
    for entry in entries:
        start = answer.index(b"\n", at) + 1
        try:
            _write(target / entry.name, entry.mode, answer[start : start + entry.size])
        except OSError as error:
            raise SourceError(f"cannot be written: {error.strerror}", place=repr(entry.name)) from error
        at = start + entry.size + 1


def check(entries: Sequence[Entry]) -> None:
    """Raise `SourceError` unless every entry is a file or a link, and lies below the directory it is written to."""
    files = {entry.name for entry in entries}
    for entry in entries:
        if entry.mode == _SUBMODULE:
            raise SourceError(
                "a submodule", place=entry.name, hint="make it an input of the flake: nodes have no submodules"
            )
        if entry.mode not in _MODES and entry.mode != _SYMLINK:
            raise SourceError(f"of the mode {entry.mode}", place=entry.name)
        parts = entry.name.split("/")
        if {"", ".", ".."} & set(parts) or parts[0] == ".git":
            raise SourceError("a name that leads elsewhere", place=repr(entry.name))
        if any("/".join(parts[:end]) in files for end in range(1, len(parts))):
            raise SourceError("lies below a name that is a file or a link", place=repr(entry.name))


def _entry(line: bytes) -> Entry:
    about, name = line.split(b"\t", 1)
    mode, _, blob, size = about.decode("ascii").split()
    return Entry(mode, blob, 0 if size == "-" else int(size), os.fsdecode(name))


def _write(file: Path, mode: str, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if mode == _SYMLINK:
        file.symlink_to(os.fsdecode(content))
        return
    file.write_bytes(content)
    file.chmod(_MODES[mode])
