"""What the upper layer of an overlay holds: everything that was made, changed or deleted since it was mounted.

Only names, kinds and marks are read, never contents. No link is followed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal

from ec_closure.nar.directories import OPEN_DIRECTORY
from ec_verify.observe.overlay import Mark, mark_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MAX_ENTRIES = 1_000_000
"""Looked at in one layer."""
MAX_KEPT = 10_000
"""Of these, entries that are kept."""
MAX_DEPTH = 256


@dataclass(frozen=True, slots=True)
class UpperEntry:
    """One entry of an upper layer. *path* is logical, below the overlay's root; *target* that of a symlink.

    *mark* is what overlayfs itself put there. *below* tells whether a lower layer has an entry of that name, None
    where that is not known. *copy_of* is the store path that a file's bytes were found in, where one was looked for.
    """

    path: str
    kind: Literal["file", "symlink", "directory", "other"]
    mark: Mark | None = None
    target: str = ""
    below: bool | None = None
    copy_of: str = ""


@dataclass(frozen=True, slots=True)
class UpperLayer:
    """*more* counts entries that were not kept; *unknown* says why not all of the layer was seen."""

    entries: tuple[UpperEntry, ...] = ()
    more: int = 0
    unknown: tuple[str, ...] = ()


def walk(root: Path, *, skip: Callable[[str], bool], max_entries: int = MAX_ENTRIES) -> UpperLayer:
    """List what lies in the upper layer at *root*; *skip* tells of a path that it need not be looked at.

    Directories without a mark are passed through and not listed: the kernel makes them for what lies in them. Raises
    OSError when *root* cannot be opened; what vanishes meanwhile is passed over.
    """
    walked = _Walk(root, skip, max_entries)
    walked.enter("")
    while walked.todo and walked.left:
        where = walked.todo.pop()
        try:
            walked.enter(where)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            walked.unknown.append(f"{where}: {error.strerror}")
    if not walked.left:
        walked.unknown.append(f"after {max_entries} entries no more were looked at")
    if walked.more:
        # Whoever makes ten thousand files may have one among the rest that matters.
        walked.unknown.append(f"{walked.more} entries beyond the first {MAX_KEPT}")
    ordered = sorted(walked.entries, key=lambda entry: entry.path)
    return UpperLayer(tuple(ordered), walked.more, tuple(walked.unknown))


class _Walk:
    """One walk, directory by directory."""

    def __init__(self, root: Path, skip: Callable[[str], bool], left: int) -> None:
        self._root = root
        self._skip = skip
        self.left = left
        self.more = 0
        self.todo: list[str] = []
        self.entries: list[UpperEntry] = []
        self.unknown: list[str] = []

    def enter(self, where: str) -> None:
        """Look at the entries of one directory. Raises OSError when it cannot be opened."""
        fd = _open(self._root, where)
        try:
            with os.scandir(fd) as listing:
                names = [entry.name for entry in islice(listing, self.left)]
            self.left -= len(names)
            for name in sorted(names):
                path = f"{where}/{name}"
                if not self._skip(path):
                    with suppress(FileNotFoundError):
                        self._keep(entry_of(fd, name, path))
        finally:
            os.close(fd)

    def _keep(self, entry: UpperEntry) -> None:
        if entry.kind == "directory":
            if entry.path.count("/") < MAX_DEPTH:
                self.todo.append(entry.path)
            else:
                self.unknown.append(f"{entry.path[:100]}…: deeper than {MAX_DEPTH} directories")
            if entry.mark is None:
                return
        if len(self.entries) < MAX_KEPT:
            self.entries.append(entry)
        else:
            self.more += 1


def entry_of(parent: int, name: str, path: str) -> UpperEntry:
    """Return the entry *name* of the open directory *parent*, called *path*. Raises OSError."""
    status = os.lstat(name, dir_fd=parent)
    mode = status.st_mode
    kind: Literal["file", "symlink", "directory", "other"] = "other"
    if stat.S_ISREG(mode):
        kind = "file"
    elif stat.S_ISLNK(mode):
        kind = "symlink"
    elif stat.S_ISDIR(mode):
        kind = "directory"
    target = os.readlink(name, dir_fd=parent) if kind == "symlink" else ""
    return UpperEntry(path, kind, mark_of(name, parent, status), target)


def _open(root: Path, where: str) -> int:
    """Open a directory below *root* name by name: no component may be a link, whoever puts one there meanwhile."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in filter(None, where.split("/")):
        try:
            below = os.open(part, OPEN_DIRECTORY, dir_fd=fd)
        finally:
            os.close(fd)
        fd = below
    return fd
