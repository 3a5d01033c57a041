"""One thread that writes. What is asked of it at one time is committed at one time, so that a flush serves many.

Each piece of work runs in a savepoint of its own: when it raises, it alone is undone, and whoever waits is told. Work
is done only when its commit is: a result means that it is on the disk. Events that it noted are published then, before
anybody hears of the result.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from runner_dashboard.events.event import noted
from runner_dashboard.refusals import BusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Engine

    from runner_dashboard.events.bus import Bus

T = TypeVar("T")

_BATCH = 64
_WAITING = 1000
"""How much work may wait before more is refused."""


class Writer:
    """The thread that writes through *engine*, and tells *bus*; `close` lets it finish what it took."""

    def __init__(self, engine: Engine, bus: Bus) -> None:
        self._engine = engine
        self._bus = bus
        self._work: queue.Queue[tuple[Callable[[Connection], Any], Future[Any]] | None] = queue.Queue(_WAITING)
        self._closed = False
        self._door = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How much work waits."""
        return self._work.qsize()

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Let *work* be done, and return what will hold its result once it is on the disk.

        Raises `BusyError` when too much waits. The future raises what *work* raised, or `SQLAlchemyError`.
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
        """Take no more, finish what was taken, and end the thread."""
        with self._door:
            if self._closed:
                return
            self._closed = True
            self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        ending = False
        while not ending:
            taken = [self._work.get()]
            while len(taken) < _BATCH and not self._work.empty():
                taken.append(self._work.get())
            ending = None in taken
            self._commit([one for one in taken if one is not None])

    def _commit(self, batch: list[tuple[Callable[[Connection], Any], Future[Any]]]) -> None:
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with self._engine.begin() as connection:
                told = noted(connection)
                told.clear()
                for work, future in batch:
                    before = len(told)
                    try:
                        with connection.begin_nested():
                            outcomes.append((future, work(connection), None))
                    except Exception as error:  # noqa: BLE001 - it is raised again, where somebody waits for it
                        del told[before:]
                        outcomes.append((future, None, error))
                happenings = list(told)
        except SQLAlchemyError as error:
            # Nothing of this batch is on the disk, whatever went well before.
            for _, future in batch:
                future.set_exception(error)
            return
        self._bus.publish(happenings)
        for future, result, trouble in outcomes:
            if trouble is None:
                future.set_result(result)
            else:
                future.set_exception(trouble)
