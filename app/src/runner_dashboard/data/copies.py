"""Copies of an SQLite database: taken while it is in use, and put back while it is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from ec_closure import files
from runner_dashboard.data import sqlite
from runner_dashboard.errors import DatabaseError

if TYPE_CHECKING:
    from pathlib import Path

_PAGES = 1000
_ROOM = "check room and rights there"
_APPLICATION = "alembic_version"


def backup(database: Path, target: Path) -> None:
    """Write a whole copy of *database* to *target*, of one moment, while it is in use. Raises `DatabaseError`."""
    try:
        _copied(database, target)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"no backup: {error}", place=str(target), hint=_ROOM) from error


def restore(copy: Path, database: Path) -> None:
    """Put *copy* in the place of *database*, which no server may have open. Raises `DatabaseError`.

    What was there is kept beside it, with the suffix `.before-restore`, in the place of what an earlier restore kept.
    """
    before = database.with_name(f"{database.name}.before-restore")
    try:
        if not copy.is_file():
            raise DatabaseError("there is no such file", place=str(copy), hint="name what `backup` wrote")
        with closing(sqlite3.connect(f"file:{_quoted(copy)}?mode=ro", uri=True)) as source:
            query = "SELECT count(*) FROM sqlite_master WHERE name = ?"
            if source.execute(query, (_APPLICATION,)).fetchone() != (1,):
                raise DatabaseError("is no database of a dashboard", place=str(copy), hint="name what `backup` wrote")
        sqlite.make_private(database)
        fresh = database.with_name(f"{database.name}.restored")
        _copied(copy, fresh)
        _kept_aside(database, before)
        fresh.replace(database)
        files.sync_directory(database.parent)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseError(f"not restored: {error}", place=str(database), hint=_ROOM) from error


def not_ours(place: str) -> DatabaseError:
    """Return the error for copies of what only PostgreSQL's own tools copy as a whole."""
    return DatabaseError(
        "PostgreSQL makes and restores copies itself",
        place=place,
        hint="use pg_dump --format=custom and pg_restore --clean; docs/dashboard.md shows how",
    )


def _kept_aside(database: Path, before: Path) -> None:
    """Give *database* a second name, so that there is one at every moment; its log goes with it, whole or not.

    Nothing is read: what is replaced may be damaged. A log that stayed would be taken for the restored database's.
    """
    for suffix in ("", "-wal"):
        before.with_name(f"{before.name}{suffix}").unlink(missing_ok=True)
    before.hardlink_to(database)
    log, index = (database.with_name(f"{database.name}{suffix}") for suffix in ("-wal", "-shm"))
    if log.exists():
        log.replace(before.with_name(f"{before.name}-wal"))
    index.unlink(missing_ok=True)
    files.sync_directory(database.parent)


def _copied(database: Path, target: Path) -> None:
    aside = target.with_name(f".{target.name}.partial")
    try:
        aside.unlink(missing_ok=True)
        sqlite.make_private(aside)
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(aside)) as copy:
            source.backup(copy, pages=_PAGES)
            (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            raise DatabaseError(f"the copy is damaged: {verdict}", place=str(target), hint="check the disk")
        files.sync(aside)
        aside.replace(target)
        files.sync_directory(target.parent)
    finally:
        aside.unlink(missing_ok=True)


def _quoted(file: Path) -> str:
    """Return the path of *file* as it stands in an address of SQLite."""
    return str(file.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
