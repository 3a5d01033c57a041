"""The database as the rest of the program sees it: reading, and handing work to the thread that writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Self, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from ec_closure import files
from runner_dashboard.data import engine, migrate
from runner_dashboard.data.writer import Writer
from runner_dashboard.errors import DatabaseError
from runner_dashboard.events.bus import Bus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Connection

T = TypeVar("T")

_PAGES = 1000


class Database:
    """The SQLite file at *path*, a context manager. Methods raise `SQLAlchemyError` where nothing else is said."""

    def __init__(self, path: Path) -> None:
        self.path = path
        engine.make_private(path)
        self._writes = engine.connect(path, writes=True)
        self._reads = engine.connect(path, writes=False)
        self.bus = Bus()
        self.writer = Writer(self._writes, self.bus)

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema to this version's. Raises `DatabaseError`."""
        return migrate.migrate(self._writes)

    def check(self) -> None:
        """Raise `DatabaseError` unless the file can be read and has this version's schema."""
        try:
            with self.read() as connection:
                found = migrate.revision(connection)
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise migrate.failed(error, self._reads) from error
        if found != migrate.head():
            raise DatabaseError(
                f"has the schema {found or 'none'}, and this version works with {migrate.head()}",
                place=str(self.path),
                hint="run `runner-dashboard migrate`",
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that reads one state of the database, whatever is written meanwhile."""
        with self._reads.begin() as connection:
            yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Let the writing thread do *work*, and return its result once it is on the disk."""
        return self.writer.run(work)

    def backup(self, target: Path) -> None:
        """Write a whole copy to *target*, of one moment, while the database is in use. Raises `DatabaseError`."""
        aside = target.with_name(f".{target.name}.partial")
        try:
            aside.unlink(missing_ok=True)
            engine.make_private(aside)
            with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(aside)) as copy:
                source.backup(copy, pages=_PAGES)
                (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise DatabaseError(f"the copy is damaged: {verdict}", place=str(target), hint="check the disk")
            files.sync(aside)
            aside.replace(target)
            files.sync_directory(target.parent)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseError(f"no backup: {error}", place=str(target), hint="check room and rights there") from error
        finally:
            aside.unlink(missing_ok=True)

    def close(self) -> None:
        """Finish what is to be written, end subscriptions, and close all connections."""
        self.writer.close()
        self.bus.close()
        self._reads.dispose()
        self._writes.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
