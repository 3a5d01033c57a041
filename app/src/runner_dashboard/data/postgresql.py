"""Connections to a PostgreSQL server, which several dashboards may share.

Pages read one state of the database each (`REPEATABLE READ`, read only). What is written is `READ COMMITTED`: a node's
row is locked before it is looked at, so that every statement after that sees what others have committed about it, and
what must not be there twice is refused by a unique constraint, whatever anybody read before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from runner_dashboard.data.backend import Backend
from runner_dashboard.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Connection

_READERS = 8
_WRITERS = 4
_WAIT = 10.0
"""Seconds that a request waits for a connection before it is asked to come again."""
_CONNECT = 5
_STATEMENT = 30_000
_IDLE = 60_000
"""Milliseconds after which the server ends a statement, and a transaction that nobody works in."""
_DEAD = 20_000
"""Milliseconds without an answer to what was sent, after which a connection counts as lost."""
_SCHEMES = ("postgresql", "postgres")
AGAIN = frozenset({"40001", "40P01", "23505"})
"""States after which a transaction is tried again: it was not serializable, in a deadlock, or somebody else inserted
first what must be unique, which the next try sees."""


def parsed(text: str) -> URL:
    """Return the address of a database. Raises `ConfigError`, without the address: it may hold a password."""
    try:
        found = make_url(text)
    except (ArgumentError, ValueError):
        found = None
    if found is None or found.drivername not in _SCHEMES or not found.database:
        raise ConfigError(
            "is no address of a PostgreSQL database",
            place="database.url",
            hint="postgresql://user:password@host:5432/name, or postgresql://user@/name?host=/run/postgresql",
        )
    return found.set(drivername="postgresql+psycopg")


def place(url: URL) -> str:
    """Return how the database is called in messages: without user, password and options."""
    sockets = url.query.get("host", "")
    host = url.host or (sockets if isinstance(sockets, str) else ",".join(sockets))
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{host}{port}/{url.database}"


def opened(url: URL) -> Backend:
    """Return the database at *url*. Nothing is connected yet."""
    reads = _engine(url, poolclass=QueuePool, pool_size=_READERS, max_overflow=0, pool_timeout=_WAIT)
    writes = _engine(url, poolclass=QueuePool, pool_size=_WRITERS, max_overflow=0, pool_timeout=_WAIT)
    return Backend(
        name="postgresql",
        place=place(url),
        reads=reads.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
        writes=writes.execution_options(isolation_level="READ COMMITTED"),
        writers=_WRITERS,
        batch=1,
    )


def listening(url: URL) -> Engine:
    """Return an engine whose connections are not pooled, and commit each statement: for who listens."""
    return _engine(url, poolclass=NullPool).execution_options(isolation_level="AUTOCOMMIT")


def raw(connection: Connection) -> psycopg.Connection[Any]:
    """Return the driver's own connection below *connection*."""
    found = connection.connection.driver_connection
    if not isinstance(found, psycopg.Connection):
        raise TypeError(f"no connection of psycopg, but {type(found).__name__}")
    return found


def state(error: BaseException) -> str:
    """Return the SQLSTATE of what the server complained about, the empty text for anything else."""
    origin = getattr(error, "orig", None)
    return (origin.sqlstate or "") if isinstance(origin, psycopg.Error) else ""


def _engine(url: URL, **pool: Any) -> Engine:
    settings = {
        "statement_timeout": _STATEMENT,
        "idle_in_transaction_session_timeout": _IDLE,
        "timezone": "UTC",
    }
    return create_engine(
        url,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": _CONNECT,
            "tcp_user_timeout": _DEAD,
            "keepalives_idle": _DEAD // 1000,
            "application_name": "runner-dashboard",
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
        **pool,
    )
