"""`ec-verify run`: verify, sign the report, keep it and send it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import structlog
from cyclopts import Parameter

from ec_closure.errors import EcError
from ec_closure.policy import Level
from ec_closure.report import RunOutput
from ec_verify import standing
from ec_verify.commands.evidence import last_evidence
from ec_verify.commands.options import Common, Listing, References, Trust, give_way
from ec_verify.commands.show import show
from ec_verify.config import Settings
from ec_verify.memory import keeper
from ec_verify.memory.keeper import Keeper
from ec_verify.report import build
from ec_verify.report.deliver import deliver
from ec_verify.report.submit import Dashboard
from ec_verify.run import Outcome, Request
from ec_verify.run import run as verify
from ec_verify.state import State, boot_id, write_file

log = structlog.get_logger()


def run(
    *,
    level: Level | None = None,
    references: References = False,
    no_submit: Annotated[
        bool,
        Parameter(help="Keep the report in the spool for `ec-verify submit`, and ask for no nonce.", negative=()),
    ] = False,
    full_read: Annotated[
        bool, Parameter(help="Read every byte, also of what did not change since the last run.", negative=())
    ] = False,
    evidence: Path | None = None,
    wait: Annotated[
        bool, Parameter(help="When another run is under way, wait until it has ended.", negative=())
    ] = False,
    common: Common = Common(),
    trust: Trust = Trust(),
    listing: Listing = Listing(),
) -> int:
    """Verify this node, sign the report, keep it and send it.

    At levels bytes and source, a path that was read before and not written to since is `unchanged`: it is not read
    again until its turn comes. Levels rebuild and full read everything.

    With --offline nothing is asked of anybody: metadata, manifests and nonce are those that `ec-verify fetch` left, and
    the report waits for `ec-verify submit`. When the report cannot be kept, that is said on
    standard error, and only a failed run still exits with 1.

    Parameters
    ----------
    level: Literal["bytes", "source", "rebuild", "full"]
        The level to reach; the policy's when not given.
    evidence: Path
        Also write the run's evidence bundle to this file.
    """
    settings = common.settings()
    give_way(settings)
    state = State(settings.config.state)
    with state.lock(wait=wait):
        # The run begins here: metadata are judged by the time at which it looks, not at which it began to wait.
        request = _request(level or settings.policy.level, trust, references=references, read_all=full_read)
        started = datetime.now(UTC)
        dashboard = None if trust.offline or no_submit else Dashboard.of(settings.config.report)
        occasion = standing.of_report(settings, state, dashboard, offline=trust.offline, now=started)
        request = replace(request, standing=occasion.standing)
        memory = keeper.opened(settings, state, now=int(request.time.timestamp()))
        outcome = verify(settings, request, common.progress(), memory)
        if memory is not None:
            _remember(memory, outcome)
        try:
            output = deliver(settings, state, outcome, started=started, nonce=occasion.nonce, dashboard=dashboard)
            if evidence is not None:
                write_file(evidence, last_evidence(state))
            trouble = None
        except EcError as error:
            # A disk that is full must not hide what was found.
            output, trouble = _unsigned(settings, outcome, started), error
    show(output, as_json=common.json, all_findings=listing.all)
    if trouble is None:
        return outcome.judgement.exit_code
    log.error("the report was not delivered", reason=str(trouble), hint=trouble.hint)
    return outcome.judgement.exit_code if output.verdict == "failed" else trouble.exit_code


def _remember(memory: Keeper, outcome: Outcome) -> None:
    # Before the report is numbered: a run that is killed in between remembers more than its counter says, never less.
    try:
        memory.keep(outcome.case)
    except EcError as error:
        log.warning("nothing is remembered of this run", reason=str(error))


def look(level: Level, common: Common, trust: Trust, listing: Listing, *, references: bool = False) -> int:
    """Verify up to *level* and print the result; no report, no counter, nothing sent, nothing taken from memory."""
    settings = common.settings()
    request = replace(_request(level, trust, references=references), standing=standing.of_look(settings))
    started = datetime.now(UTC)
    give_way(settings)
    with State(settings.config.state).lock():
        outcome = verify(settings, request, common.progress())
    show(_unsigned(settings, outcome, started), as_json=common.json, all_findings=listing.all)
    return outcome.judgement.exit_code


def _request(level: Level, trust: Trust, *, references: bool, read_all: bool = True) -> Request:
    return Request(
        level,
        trust.reference_time(),
        trust.offline,
        trust.manifest_file(),
        references=references,
        read_all=read_all,
    )


def _unsigned(settings: Settings, outcome: Outcome, started: datetime) -> RunOutput:
    return build.build(settings, outcome, build.Occasion(started, datetime.now(UTC), boot_id(), 0, None))
