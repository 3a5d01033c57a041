"""`ec-verify fetch`: what a run without network will need."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from ec_closure import canonical
from ec_closure.courier import NONCE_FILE, TRUST_DIRECTORY, FetchedManifest, FetchOutput, KeptNonce
from ec_verify import trust as trusts
from ec_verify.courier import own
from ec_verify.observe import running
from ec_verify.report.submit import Dashboard
from ec_verify.state import failed, write_file
from ec_verify.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.config import Config

log = structlog.get_logger()


def fetch(config: Config, *, time: datetime) -> FetchOutput:
    """Refresh metadata, download the manifests of what runs and of the other generations, and ask for a nonce.

    Metadata and manifests are verified as a run would, with *time* as the reference; what fails is a problem and not
    the end. Raises `ConfigError`, and `StateError` for a directory that is not our own.
    """
    directory = own.opened(config)
    seen = running.observe(config.location, config.system)
    found = trusts.establish(config, seen.current, seen.systems, time=time, directory=directory / TRUST_DIRECTORY)
    manifests = found.record.manifests if found.record is not None else {}
    return FetchOutput(
        toplevel=seen.current,
        has_manifest=found.manifest is not None,
        manifests=tuple(FetchedManifest(target=name, size=len(data)) for name, data in manifests.items()),
        latest_version=found.latest_version,
        metadata_age=found.metadata_age,
        nonce=_nonce(config, directory),
        problems=tuple(f"{one.code}: {one_line(one.message, 900)}" for one in found.problems),
    )


def _nonce(config: Config, directory: Path) -> bool:
    """Keep a nonce for the next run, in place of an older one. False where there is none to be had."""
    dashboard = Dashboard.of(config.report)
    asked = int(datetime.now(UTC).timestamp())
    nonce = dashboard.nonce() if dashboard is not None else None
    file = directory / NONCE_FILE
    if nonce is not None:
        write_file(file, canonical.encode(KeptNonce(nonce=nonce, asked=asked, url=config.report.url)))
        return True
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise failed(error, file) from error
    return False
