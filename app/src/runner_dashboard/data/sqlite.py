"""Connections to the SQLite file: write-ahead log, foreign keys, a busy timeout; one that writes and several that read.

Acknowledged means durable: every commit is flushed to disk (`synchronous = FULL`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from runner_dashboard.data.backend import Backend
from runner_dashboard.errors import DatabaseError

if TYPE_CHECKING:
    from pathlib import Path

_BUSY = 30.0
"""Seconds that a connection waits for another one's lock."""
_READERS = 8
_CACHE_KIB = 16 * 1024
_JOURNAL_LIMIT = 64 << 20
_BATCH = 64
"""How much work one flush may serve."""


def make_private(path: Path) -> None:
    """Make the database file, readable by its owner alone, where there is none. Raises `DatabaseError`.

    SQLite gives its log files the mode of the database.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise DatabaseError(
            (error.strerror or str(error)).lower(),
            place=str(path),
            hint="the dashboard needs a directory that it can write, see state_dir",
        ) from error


def opened(path: Path) -> Backend:
    """Return the database in the file *path*, which is made if there is none. Raises `DatabaseError`."""
    make_private(path)
    return Backend(
        name="sqlite",
        place=str(path),
        reads=_connect(path, writes=False),
        writes=_connect(path, writes=True),
        writers=1,
        batch=_BATCH,
        file=path,
    )


def _connect(path: Path, *, writes: bool) -> Engine:
    """Return an engine for the file *path*: one connection that writes, or up to eight that only read."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=1 if writes else _READERS,
        max_overflow=0,
        pool_timeout=_BUSY,
        connect_args={"check_same_thread": False, "timeout": _BUSY},
    )
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"

    def prepare(connection: Any, _record: object) -> None:
        # The driver's own idea of transactions would commit behind our back: we begin and end them ourselves.
        connection.isolation_level = None
        pragmas = ["foreign_keys = ON", f"cache_size = -{_CACHE_KIB}", "trusted_schema = OFF", "temp_store = MEMORY"]
        if writes:
            pragmas += ["journal_mode = WAL", "synchronous = FULL", f"journal_size_limit = {_JOURNAL_LIMIT}"]
        else:
            pragmas += ["query_only = ON"]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    def start(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", start)
    return engine
