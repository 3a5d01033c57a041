"""Writing, keeping and sending the report of one run."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ec_verify.evidence.bundle import collect
from ec_verify.report import build, metrics, past
from ec_verify.report.submit import Spool
from ec_verify.state import State, boot_id, failed, write_file

if TYPE_CHECKING:
    from ec_closure.report import RunOutput
    from ec_verify.config import Settings
    from ec_verify.report.submit import Dashboard
    from ec_verify.run import Outcome

LAST_RUN = "last-run.json"
LAST_EVIDENCE = "last-evidence.tar"


def deliver(
    settings: Settings,
    state: State,
    outcome: Outcome,
    *,
    started: datetime,
    nonce: str | None,
    dashboard: Dashboard | None,
) -> RunOutput:
    """Sign the report, write it, its metrics, summary and evidence, and send it to *dashboard* with whatever waits.

    Without *dashboard* it waits with the others where the configuration names one.

    Raises `StateError` or `ConfigError`; what was written by then stays.
    """
    config = settings.config
    counter = state.next_counter()
    signer = state.key()
    bundle = collect(settings, outcome.case, signer.public_key)
    occasion = build.Occasion(started, datetime.now(UTC), boot_id(), counter, nonce, bundle.digest)
    output = build.build(settings, outcome, occasion)
    about = build.subject(outcome)
    envelope = build.signed(output, about, signer)
    directory = Path(config.report.directory) if config.report.directory else config.state / "reports"
    # The counter first: it orders reports also on machines that start with a clock of 1970.
    name = f"{counter:010d}-{occasion.finished:%Y%m%dT%H%M%SZ}"
    write_file(directory / f"{name}.report.json", envelope, mode=0o644)
    summary = build.signed_summary(output, about, signer, hashlib.sha256(envelope).hexdigest())
    if summary is not None:
        write_file(directory / f"{name}.vsa.json", summary, mode=0o644)
    sealed = bundle.sealed(envelope)
    if config.report.evidence:
        write_file(directory / f"{name}.evidence.tar", sealed)
    _prune(directory, config.report.keep)
    if config.report.textfile:
        write_file(Path(config.report.textfile), metrics.render(output).encode(), mode=0o644)
    state.write(LAST_RUN, msgspec.json.encode(output, order="sorted"))
    state.write(LAST_EVIDENCE, sealed)
    past.add(state, output)
    if config.report.url:
        spool = Spool(config.spool)
        # Through the spool always: a run killed while sending has lost nothing.
        spool.add(name, envelope)
        if dashboard is not None:
            spool.send(dashboard)
    return output


def _prune(directory: Path, keep: int) -> None:
    for suffix in ("report.json", "vsa.json", "evidence.tar"):
        for stale in sorted(directory.glob(f"*.{suffix}"))[:-keep]:
            try:
                stale.unlink(missing_ok=True)
            except OSError as error:
                raise failed(error, stale) from error
