"""The thread that watches: twice a minute it works out alarms and tells of them, and gets manifests that are missing.

It outlives whatever goes wrong.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import structlog
from sqlalchemy.exc import SQLAlchemyError

from runner_dashboard.alarms import alarm, webhook
from runner_dashboard.config import read_file
from runner_dashboard.errors import ConfigError
from runner_dashboard.fleet.fetching import Fetching
from runner_dashboard.refusals import BusyError

if TYPE_CHECKING:
    from runner_dashboard.services import Services

log = structlog.get_logger()

PERIOD: Final = 30.0
_MAX_SECRET: Final = 4096
_MIN_SECRET: Final = 16


class Watch:
    """Watches the fleet of *services*; a context manager around the time in which it does. Raises `ConfigError`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._table = services.config.notify
        self._secret = b""
        if self._table.url:
            self._secret = read_file(Path(self._table.secret_file), _MAX_SECRET).strip()
            if len(self._secret) < _MIN_SECRET:
                raise ConfigError(
                    f"holds no secret of {_MIN_SECRET} characters or more", place=self._table.secret_file,
                    hint="the receiver needs the same one",
                )  # fmt: skip
        self._fetching = Fetching(services)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def step(self) -> None:
        """Look once, and send what is in line. Raises what the database raises."""
        services, now = self._services, self._services.now
        told = self._table.kinds if self._table.url else ()
        silent_before = now - services.config.fleet.silent_after
        began, ended = services.database.write(lambda connection: alarm.step(connection, now, silent_before, told))
        if began or ended:
            log.info("alarms", began=began, ended=ended)
        self._fetching.step()
        if not self._table.url:
            return
        public_url = services.config.server.public_url
        for letter in services.database.write(lambda connection: webhook.take(connection, now, public_url)):
            self._tell(letter)

    def _tell(self, letter: webhook.Letter) -> None:
        now = self._services.now
        error = webhook.send(self._table.url, self._secret, letter, now)
        self._services.database.write(lambda connection: webhook.note(connection, now, letter, error))
        self._services.counters.add("notifications", outcome="failed" if error else "sent")
        if error:
            log.warning("an alarm was not told of", delivery=letter.id, reason=error, attempts=letter.attempts + 1)

    def _run(self) -> None:
        while not self._over.wait(PERIOD):
            try:
                self.step()
            except (SQLAlchemyError, BusyError) as error:
                log.error(  # noqa: TRY400 - the reason says it, a trace would not
                    "alarms were not worked out", reason=str(getattr(error, "orig", None) or error)
                )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
