"""What somebody who is root can do to a store: change bytes, and the database rows that describe them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.nar.hash import hash_path
from ec_closure.nar.remove import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def remove(directory: Path) -> None:
    """Remove a directory with stores in it, whose directories nobody but root may write to."""
    parent = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        remove_tree(parent, os.fsencode(directory.name))
    finally:
        os.close(parent)


@dataclass(frozen=True)
class Store:
    """The chroot store below *root*. Paths are logical and may lead below a store path."""

    root: Path

    def physical(self, path: str) -> Path:
        """Return where the bytes of the logical *path* are."""
        return self.root / path.lstrip("/")

    @contextlib.contextmanager
    def thawed(self, path: str) -> Iterator[Path]:
        """Make *path* and the directory that holds it writable; put modes and times back afterwards."""
        target = self.physical(path)
        entries = [target.parent, target] if path.count("/") > len(("nix", "store", "path")) else [target]
        before = [(entry, entry.lstat()) for entry in entries if os.path.lexists(entry) and not entry.is_symlink()]
        for entry, status in before:
            entry.chmod(status.st_mode | 0o200)
        yield target
        for entry, status in reversed(before):
            if os.path.lexists(entry) and not entry.is_symlink():
                entry.chmod(status.st_mode)
                os.utime(entry, ns=(status.st_atime_ns, status.st_mtime_ns))

    def overwrite(self, path: str, data: bytes) -> None:
        """Replace the content of a file; nothing but its bytes tells of it."""
        with self.thawed(path) as file:
            file.write_bytes(data)

    def rewrite_row(self, path: str) -> None:
        """Make the database agree with the bytes that lie at the store path *path*."""
        found = hash_path(self.physical(path))
        with self.database() as database:
            database.execute(
                "UPDATE ValidPaths SET hash = ?, narSize = ? WHERE path = ?",
                (f"sha256:{found.hash.base16}", found.size, path),
            )

    def register(self, path: str, references: tuple[str, ...] = (), *, ultimate: bool = True) -> None:
        """Add a row for the bytes that lie at the store path *path*."""
        found = hash_path(self.physical(path))
        with self.database() as database:
            row = database.execute(
                "INSERT INTO ValidPaths (path, hash, registrationTime, narSize, ultimate) VALUES (?, ?, 1, ?, ?)",
                (path, f"sha256:{found.hash.base16}", found.size, int(ultimate)),
            ).lastrowid
            for reference in references:
                database.execute(
                    "INSERT INTO Refs (referrer, reference) SELECT ?, id FROM ValidPaths WHERE path = ?",
                    (row, reference),
                )

    def forget_reference(self, path: str, reference: str) -> None:
        """Remove one reference of *path* from the database."""
        with self.database() as database:
            database.execute(
                "DELETE FROM Refs WHERE referrer = (SELECT id FROM ValidPaths WHERE path = ?) "
                "AND reference = (SELECT id FROM ValidPaths WHERE path = ?)",
                (path, reference),
            )

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Open the store's database for writing."""
        file = self.root / "nix/var/nix/db/db.sqlite"
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            yield connection
