"""The database as the rest of the program sees it: reading, and handing work to the threads that write."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from runner_dashboard.data import copies, migrate, postgresql, sqlite
from runner_dashboard.data.writer import Writer
from runner_dashboard.errors import DatabaseError
from runner_dashboard.events.bus import Bus
from runner_dashboard.events.shared import Listener, Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from sqlalchemy import URL, Connection

T = TypeVar("T")

_HEAR = 5.0
"""Seconds that a start waits for events of other servers."""


class Database:
    """The SQLite file or the PostgreSQL server *where*, a context manager.

    Methods raise `SQLAlchemyError` where nothing else is said.
    """

    def __init__(self, where: Path | URL) -> None:
        self._backend = sqlite.opened(where) if isinstance(where, Path) else postgresql.opened(where)
        self._where = where
        self._listener: Listener | None = None
        self.bus = Bus()
        self.writer = Writer(self._backend, Outbox() if self._backend.shared else self.bus)

    @property
    def place(self) -> str:
        """What it is called in messages, without any secret."""
        return self._backend.place

    @property
    def shared(self) -> bool:
        """Whether other servers may work with it at the same time."""
        return self._backend.shared

    @property
    def path(self) -> Path:
        """The SQLite file. Raises `DatabaseError` where there is none."""
        if self._backend.file is None:
            raise DatabaseError("is no file", place=self.place)
        return self._backend.file

    def listen(self) -> None:
        """Begin to hear of what other servers commit; to be called by a server, once, after the migration."""
        if not isinstance(self._where, Path) and self._listener is None:
            self._listener = Listener(postgresql.listening(self._where), self.bus)
            # Numbers of events have a meaning from then on. Without a server, it goes on trying.
            self._listener.wait(_HEAR)

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema to this version's. Raises `DatabaseError`."""
        return migrate.migrate(self._backend)

    def check(self) -> None:
        """Raise `DatabaseError` unless it can be read and has this version's schema."""
        try:
            with self.read() as connection:
                found = migrate.revision(connection)
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            raise migrate.failed(error, self._backend) from error
        if found != migrate.head():
            raise DatabaseError(
                f"has the schema {found or 'none'}, and this version works with {migrate.head()}",
                place=self.place,
                hint="run `runner-dashboard migrate`",
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that reads one state of the database, whatever is written meanwhile."""
        with self._backend.reads.begin() as connection:
            yield connection

    def write(self, work: Callable[[Connection], T]) -> T:
        """Let a writing thread do *work*, and return its result once it is on the disk."""
        return self.writer.run(work)

    def size(self) -> int:
        """Return how many bytes it takes, its log included where that is a file of its own."""
        if self._backend.file is None:
            with self.read() as connection:
                return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
        files = (self._backend.file, Path(f"{self._backend.file}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def backup(self, target: Path) -> None:
        """Write a whole copy to *target*, of one moment, while the database is in use. Raises `DatabaseError`."""
        if self._backend.file is None:
            raise copies.not_ours(self.place)
        copies.backup(self._backend.file, target)

    def close(self) -> None:
        """Finish what is to be written, end subscriptions, and close all connections."""
        self.writer.close()
        if self._listener is not None:
            self._listener.close()
        self.bus.close()
        self._backend.reads.dispose()
        self._backend.writes.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
