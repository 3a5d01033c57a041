"""The thread that compacts from time to time while the dashboard serves."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from runner_dashboard.refusals import BusyError
from runner_dashboard.retention.compact import compact

if TYPE_CHECKING:
    from types import TracebackType

    from runner_dashboard.services import Services

log = structlog.get_logger()

_FIRST = 60.0
"""Seconds after a start in which it keeps still: nodes that waited report then."""


class Keeper:
    """Compacts every so many seconds, a context manager. It ends soon: between two small transactions."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)

    def once(self) -> None:
        """Compact now. What fails is logged: the next time may go better."""
        services = self._services
        try:
            removed = compact(services.database, services.config, services.now, self._stop.is_set)
        except (SQLAlchemyError, BusyError) as error:
            services.counters.add("compactions", outcome="failed")
            log.warning("compaction failed", reason=str(getattr(error, "orig", None) or error))
            return
        services.counters.add("compactions", outcome="elsewhere" if removed.elsewhere else "done")
        for table, count in removed.rows.items():
            services.counters.add("compacted_rows", count, table=table)
        if any(removed.rows.values()) or removed.days:
            log.info("compacted", days=removed.days, **removed.rows)

    def _run(self) -> None:
        wait = _FIRST
        while not self._stop.wait(wait):
            self.once()
            wait = float(self._services.config.retention.every)

    def __enter__(self) -> Self:
        if self._services.config.retention.every:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
