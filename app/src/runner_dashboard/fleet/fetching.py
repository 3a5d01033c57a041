"""Getting manifests that reports name from where releases are published, verified with the pinned root as nodes do."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ec_closure.errors import EcError
from ec_fetch.client import TrustClient, TrustSettings
from runner_dashboard.config import read_file
from runner_dashboard.fleet import manifests

if TYPE_CHECKING:
    from runner_dashboard.services import Services

log = structlog.get_logger()

BY = "release server"
_MAX_ROOT = 256 << 10
_PAUSE = 600
"""Seconds until a release server that failed, or did not have what was wanted, is asked again."""


class Fetching:
    """Fetches for *services*. Raises `ConfigError` for a root that cannot be read, `EcError` for one that is none."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._next = 0
        table = services.config.releases
        self._settings: TrustSettings | None = None
        if table.metadata_url:
            self._settings = TrustSettings(
                metadata_base=table.metadata_url,
                target_base=table.target_url,
                root=read_file(Path(table.root_file), _MAX_ROOT),
                state_dir=Path(services.config.state_dir) / "releases",
            )
            self._client(0, self._settings)

    def step(self) -> None:
        """Get what is wanted, if anything is. What goes wrong is logged, and tried again ten minutes later."""
        services, now = self._services, self._services.now
        if self._settings is None or now < self._next:
            return
        with services.database.read() as connection:
            wanted = set(manifests.wanted(connection))
        if not wanted:
            return
        self._next = now + _PAUSE
        try:
            client = self._client(now, self._settings)
            client.refresh()
            for target in client.closures():
                if target.sha256 in wanted:
                    data = client.download(target)
                    services.database.write(partial(manifests.keep, now=now, data=data, by=BY))
                    wanted.discard(target.sha256)
                    log.info("manifest fetched", target=target.name)
        except EcError as error:
            log.warning("manifests were not fetched", reason=str(error), hint=error.hint)
            services.counters.add("manifest_fetches", outcome="failed")
            return
        services.counters.add("manifest_fetches", outcome="missing" if wanted else "complete")

    @staticmethod
    def _client(now: int, settings: TrustSettings) -> TrustClient:
        return TrustClient(settings, reference_time=datetime.fromtimestamp(now, UTC))
