"""Files that a command is given, also by the directory that they lie in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def expanded(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return *paths* with the files in it in place of each directory. Raises `UsageError`: see `files_in`.

    A workflow then names a directory, and needs no shell that finds out what is in it.
    """
    return tuple(file for path in paths for file in (files_in(path) if path.is_dir() else (path,)))


def files_in(directory: Path) -> tuple[Path, ...]:
    """Return the files that lie in *directory*, sorted by name; it may have none.

    Raises `UsageError` for what is no directory, and for a directory, a link or a hidden file in it: what is published
    is never left out, nor taken, by accident.
    """
    try:
        found = sorted(directory.iterdir())
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", place=str(directory)) from error
    for path in found:
        if path.is_symlink() or not path.is_file() or path.name.startswith("."):
            raise UsageError("is no plain file", place=str(path), hint="the directory holds files to publish alone")
    return tuple(found)
