"""Serving: one process, one address, until told to stop; then no new requests, and those that run are finished."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvicorn

from runner_dashboard.alarms.watch import Watch
from runner_dashboard.data import opening
from runner_dashboard.errors import ServeError
from runner_dashboard.retention.keeper import Keeper
from runner_dashboard.services import Services
from runner_dashboard.web import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner_dashboard.config import Config
    from runner_dashboard.identity.secrets import Secret

log = structlog.get_logger()

_BACKLOG = 512
_KEEP_ALIVE = 15
_CONNECTIONS = 1000


class _Server(uvicorn.Server):
    """Uvicorn, but for signals: these are ours, so that a stop that was asked for is no death by a signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def opened(config: Config) -> Iterator[Services]:
    """Give the services of one server on its database, migrated if the configuration says so.

    Raises `ServeError` when another server has this state directory, and `DatabaseError`. Behind PostgreSQL there may
    be several servers, and none needs a directory.
    """
    with contextlib.ExitStack() as stack:
        if not config.database_url:
            stack.enter_context(held(Path(config.state_dir) / "lock"))
        database = stack.enter_context(opening.database(config))
        if config.database.migrate:
            before, after = database.migrate()
            if before != after:
                log.info("database migrated", before=before or "none", after=after)
        database.check()
        database.listen()
        yield Services(config, database)


def listen(config: Config) -> socket.socket:
    """Return the socket that is served. Raises `ServeError`."""
    host, port = config.server.host, config.server.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError as error:
        raise ServeError(
            f"cannot listen: {error.strerror or error}", place=f"{host}:{port}", hint="see server.host and server.port"
        ) from error
    return made


def serve(services: Services, listening: socket.socket, ready: Callable[[Secret | None], None]) -> None:
    """Serve until SIGTERM or SIGINT. *ready* is told when the address is open, with a first token if one was made."""
    made = services.begin()
    with Keeper(services):
        asyncio.run(_run(services, listening, lambda: ready(made)))


def prepared(services: Services) -> uvicorn.Server:
    """Return the server, not started; it stops when its `should_exit` is set."""
    return _Server(
        uvicorn.Config(
            app.make(services),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE,
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=services.config.server.grace,
        )
    )


async def _run(services: Services, listening: socket.socket, ready: Callable[[], None]) -> None:
    server = prepared(services)
    loop = asyncio.get_running_loop()

    def stop(number: int) -> None:
        # Streams of events have no end of their own.
        services.bus.close()
        server.handle_exit(number, None)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    with Watch(services):
        ready()
        await server.serve(sockets=[listening])
    log.info("stopped")


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Hold the lock of a state directory: one server each. Raises `ServeError`."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServeError(
            (error.strerror or str(error)).lower(), place=str(file), hint="see state_dir: it must be ours to write"
        ) from error
    with contextlib.closing(os.fdopen(descriptor)):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ServeError(
                "another dashboard serves this directory", place=str(file.parent), hint="one server a database"
            ) from error
        yield
