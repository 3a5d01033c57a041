"""Threads that write: one for SQLite, several for PostgreSQL.

What waits for the one thread is committed together, so that a flush serves many.
Each piece of work runs in a savepoint of its own: when it raises, it alone is undone, and whoever waits is told. Work
is done only when its commit is: a result means that it is on the disk. Events that it noted are published with it,
before anybody hears of the result.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from runner_dashboard.data import postgresql
from runner_dashboard.events.event import noted
from runner_dashboard.refusals import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from runner_dashboard.data.backend import Backend
    from runner_dashboard.events.event import Outlet

T = TypeVar("T")
Piece = tuple["Callable[[Connection], Any]", "Future[Any]"]

_WAITING = 1000
"""How much work may wait before more is refused."""
_TRIES = 5


class Writer:
    """The threads that write to *backend*, and tell *outlet*; `close` lets them finish what they took."""

    def __init__(self, backend: Backend, outlet: Outlet) -> None:
        self._backend = backend
        self._outlet = outlet
        self._work: queue.Queue[Piece | None] = queue.Queue(_WAITING)
        self._closed = False
        self._door = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, name=f"writer-{number}", daemon=True)
            for number in range(backend.writers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """How much work waits."""
        return self._work.qsize()

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Let *work* be done, and return what will hold its result once it is on the disk.

        Raises `BusyError` when too much waits. The future raises what *work* raised, or `SQLAlchemyError`. With
        PostgreSQL it may be called again, after all that it did was undone.
        """
        future: Future[T] = Future()
        with self._door:
            if self._closed:
                raise BusyError("the dashboard stops", hint="try again in a moment")
            try:
                self._work.put_nowait((work, future))
            except queue.Full:
                raise BusyError("too much waits to be written", hint="try again in a moment") from None
        return future

    def run(self, work: Callable[[Connection], T]) -> T:
        """Let *work* be done and wait for it. Raises as `submit` and its future do."""
        return self.submit(work).result()

    def close(self) -> None:
        """Take no more, finish what was taken, and end the threads."""
        with self._door:
            if self._closed:
                return
            self._closed = True
            for _ in self._threads:
                self._work.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            first = self._work.get()
            batch = [] if first is None else [first]
            while batch and len(batch) < self._backend.batch:
                try:
                    following = self._work.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    first = None
                    break
                batch.append(following)
            ending = first is None
            self._commit(batch)

    def _commit(self, batch: list[Piece]) -> None:
        """Do *batch* in one transaction, again where the database asks for that, and tell whoever waits."""
        for left in reversed(range(_TRIES)):
            try:
                outcomes = self._attempt(batch)
            except SQLAlchemyError as error:
                if left and postgresql.state(error) in postgresql.AGAIN:
                    continue
                # Nothing of this batch is on the disk, whatever went well before.
                for _, future in batch:
                    future.set_exception(error)
                return
            # One piece of work is a batch there: what it did is undone already.
            if left and any(postgresql.state(error) in postgresql.AGAIN for _, error in outcomes if error is not None):
                continue
            break
        for (_, future), (result, trouble) in zip(batch, outcomes, strict=True):
            if trouble is None:
                future.set_result(result)
            else:
                future.set_exception(trouble)

    def _attempt(self, batch: list[Piece]) -> list[tuple[Any, BaseException | None]]:
        """Return what each piece of work returned or raised, after the commit. Raises `SQLAlchemyError`."""
        outcomes: list[tuple[Any, BaseException | None]] = []
        if not batch:
            return outcomes
        with self._backend.writes.begin() as connection:
            told = noted(connection)
            told.clear()
            for work, _ in batch:
                before = len(told)
                try:
                    with connection.begin_nested():
                        outcomes.append((work(connection), None))
                except Exception as error:  # noqa: BLE001 - it is raised again, where somebody waits for it
                    del told[before:]
                    outcomes.append((None, error))
            happenings = list(told)
            self._outlet.before_commit(connection, happenings)
        self._outlet.after_commit(happenings)
        return outcomes
