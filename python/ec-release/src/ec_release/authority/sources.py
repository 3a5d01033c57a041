"""The files of a repository that release authority looks at, as values; and the one place that reads them."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.errors import LimitError, LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_FILES = 50_000
MAX_FILE = 1 << 20
MAX_TOTAL = 256 << 20
_HIDDEN = frozenset(
    [
        ".github",
        ".forgejo",
        ".gitea",
        ".ci",
        ".gitlab",
        ".woodpecker",
        ".circleci",
        ".buildkite",
        ".semaphore",
        ".tekton",
    ]
)
_PASSED = frozenset(["node_modules", "__pycache__", "result", "dist", "build", "target"])


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file, counted from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return it as compilers do."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Files:
    """Texts by path from the top, with `/`. *skipped* names what was not read, by why: it may hold anything."""

    texts: dict[str, bytes]
    skipped: dict[str, str] = field(default_factory=dict)

    def text(self, path: str) -> str:
        """Return a file as text; what is no UTF-8 in it is replaced."""
        return self.texts[path].decode(errors="replace")

    def below(self, *directories: str) -> list[str]:
        """Return the paths below *directories*, sorted."""
        return sorted(path for path in self.texts if path.startswith(tuple(f"{one}/" for one in directories)))

    def find(self, path: str) -> str | None:
        """Return *path* as it is called here, or nothing where there is no such file."""
        plain = posixpath.normpath(path.removeprefix("./") or ".")
        return plain if plain in self.texts else None

    def place_of(self, path: str, needle: str, default: int = 1) -> Place:
        """Return where *needle* stands in a file for the first time."""
        lines = self.text(path).splitlines() if path in self.texts else []
        return Place(path, next((number for number, line in enumerate(lines, 1) if needle in line), default))


def read(root: Path) -> Files:
    """Read the files below *root*. Raises `LocalError`, or `LimitError` for more than is accepted.

    Links are not followed; hidden directories other than those of forges and CI are passed over, and so are
    directories that builds make.
    """
    if not root.is_dir():
        raise LocalError("is no directory", place=str(root))
    texts: dict[str, bytes] = {}
    skipped: dict[str, str] = {}
    total = 0
    for path, name in _walk(root):
        if len(texts) + len(skipped) >= MAX_FILES:
            raise LimitError(f"more than the {MAX_FILES} files that are accepted", place=str(root))
        if path.is_symlink():
            skipped[name] = "a symbolic link"
            continue
        if not path.is_file():
            skipped[name] = "no ordinary file"
            continue
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            skipped[name] = f"more than {MAX_FILE} bytes"
            continue
        total += len(data)
        if total > MAX_TOTAL:
            raise LimitError(f"more than the {MAX_TOTAL} bytes that are accepted", place=str(root))
        texts[name] = data
    return Files(texts, skipped)


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    def complain(error: OSError) -> None:
        raise error

    for directory, below, names in os.walk(root, onerror=complain):
        relative = os.path.relpath(directory, root)
        below[:] = sorted(one for one in below if one in _HIDDEN or not (one.startswith(".") or one in _PASSED))
        for name in sorted(names):
            path = root.__class__(directory, name)
            yield path, name if relative == "." else f"{relative}/{name}"
