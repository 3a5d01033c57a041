"""Events between servers that share one PostgreSQL: rows of a table, and a signal that there are new ones.

Rows are written at the end of the transaction that causes them, and a lock lets one transaction do so at a time: an
event is never seen before one with a smaller number, so that the greatest number seen says all. (The server orders the
commits of transactions that signal in any case.) The rows are what counts: a signal that was lost is made up for by the
next one, or by looking again.
"""

from __future__ import annotations

import os
import selectors
import threading
from typing import TYPE_CHECKING

import psycopg
import structlog
from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from runner_dashboard.data import postgresql
from runner_dashboard.data.backend import exclusively
from runner_dashboard.data.tables import events
from runner_dashboard.events.bus import KEPT
from runner_dashboard.events.event import Event

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from runner_dashboard.events.bus import Bus
    from runner_dashboard.events.event import Happening

log = structlog.get_logger()

CHANNEL = "runner_dashboard_events"
_LOOK = 30.0
"""Seconds after which the table is looked at without a signal."""
_AGAIN = (0.2, 1.0, 2.0, 5.0)
"""Seconds before each new try to connect; the last for all further ones."""
_PRUNE = 1024
_READ = 1000


class Outbox:
    """Where events of committed transactions go: into the table. They come back to this server as to the others."""

    def before_commit(self, connection: Connection, happenings: list[Happening]) -> None:
        """Write the rows, and signal that they are there once they are committed."""
        if not happenings:
            return
        exclusively(connection, "events")
        rows = [{"kind": one.kind, "node": one.node, "at": one.at} for one in happenings]
        connection.execute(insert(events), rows)
        connection.execute(text(f"NOTIFY {CHANNEL}"))

    def after_commit(self, happenings: list[Happening]) -> None:
        """Do nothing: whoever listens tells."""


class Listener:
    """A thread that reads new rows through *engine*, and tells *bus*, until it is closed.

    A connection that is lost is made again, and what was missed meanwhile is read then.
    """

    def __init__(self, engine: Engine, bus: Bus) -> None:
        self._engine = engine
        self._bus = bus
        self._wake, self._alarm = os.pipe()
        self._closing = threading.Event()
        self._begun = threading.Event()
        self._signalled = False
        self._pruned = 0
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until it hears, and return whether it does."""
        return self._begun.wait(seconds)

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        os.write(self._alarm, b"x")
        self._thread.join()
        os.close(self._wake)
        os.close(self._alarm)

    def _run(self) -> None:
        failed = 0
        while not self._closing.is_set():
            try:
                with self._engine.connect() as connection:
                    # Signals come in with the answers to what we ask, too: those are not seen on the socket.
                    postgresql.raw(connection).add_notify_handler(self._signal)
                    connection.execute(text(f"LISTEN {CHANNEL}"))
                    self._read_all(connection)
                    if failed:
                        log.info("events of other servers arrive again")
                    failed = 0
                    self._listen(connection)
            except (SQLAlchemyError, psycopg.Error, OSError) as error:
                if not failed:
                    log.warning(
                        "events of other servers do not arrive", reason=str(getattr(error, "orig", None) or error)
                    )
                self._closing.wait(_AGAIN[min(failed, len(_AGAIN) - 1)])
                failed += 1

    def _listen(self, connection: Connection) -> None:
        driver = postgresql.raw(connection)
        with selectors.DefaultSelector() as selector:
            selector.register(driver.fileno(), selectors.EVENT_READ)
            selector.register(self._wake, selectors.EVENT_READ)
            while not self._closing.is_set():
                selector.select(_LOOK)
                if self._closing.is_set():
                    return
                self._read_all(connection)

    def _signal(self, _notify: psycopg.Notify) -> None:
        self._signalled = True

    def _read_all(self, connection: Connection) -> None:
        """Read, and again when a signal came in meanwhile: its rows may be newer than what was looked at."""
        self._signalled = True
        while self._signalled:
            self._signalled = False
            self._read(connection)

    def _read(self, connection: Connection) -> None:
        """Tell the bus of rows that it does not know, and remove old ones from time to time."""
        if not self._begun.is_set():
            newest = select(events.c.id).order_by(events.c.id.desc()).limit(KEPT).subquery()
            self._bus.begin_at((connection.scalar(select(func.min(newest.c.id))) or 1) - 1)
            self._begun.set()
        while True:
            query = select(events).where(events.c.id > self._bus.newest).order_by(events.c.id).limit(_READ)
            found = [Event(row.id, row.kind, row.node, row.at) for row in connection.execute(query)]
            self._bus.take(found)
            if len(found) < _READ:
                break
        if self._bus.newest - self._pruned >= _PRUNE:
            self._pruned = self._bus.newest
            connection.execute(delete(events).where(events.c.id <= self._bus.newest - 2 * KEPT))
