"""What a reader of the report must know of the node itself, found out before a run begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from ec_closure.errors import EcError
from ec_verify.courier import ledger, nonce
from ec_verify.model import Problem, Standing
from ec_verify.observe import persistence
from ec_verify.report.submit import Spool

if TYPE_CHECKING:
    from datetime import datetime

    from ec_verify.config import Settings
    from ec_verify.report.submit import Dashboard
    from ec_verify.state import State

log = structlog.get_logger()


@dataclass(frozen=True)
class Occasion:
    """The standing of the node, and the nonce that its report is to carry."""

    standing: Standing
    nonce: str | None


def of_look(settings: Settings) -> Standing:
    """Return the standing where no report is made."""
    lies = persistence.observe(settings.config.state)
    wrong = settings.node_data_problem
    problems = (Problem("EV119", wrong),) if wrong is not None else ()
    return Standing(volatile=lies.volatile, unknown=lies.unknown, problems=problems)


def of_report(
    settings: Settings, state: State, dashboard: Dashboard | None, *, offline: bool, now: datetime
) -> Occasion:
    """Settle what the courier sent, and get a nonce: from *dashboard* now, or *offline* from what the courier brought.

    Hold the lock. What the courier's directory holds in their place is a problem, and not the end.
    """
    config, found = settings.config, of_look(settings)
    problems = list(found.problems)
    try:
        ledger.settle(Spool(config.spool), ledger.read(config.courier_dir))
    except EcError as error:
        problems.append(Problem("EV118", str(error)))
    if not config.report.url:
        return Occasion(replace(found, problems=tuple(problems)), None)
    given: str | None = None
    if dashboard is not None:
        given = dashboard.nonce()
        note = "fresh: the report carries a nonce that was asked for when the run began"
        if given is None:
            note = f"{nonce.LATE}the dashboard gave none"
    elif not offline:
        note = f"{nonce.LATE}no dashboard was asked"
    else:
        try:
            given, note = nonce.take(config, state, now=int(now.timestamp()))
        except EcError as error:
            problems.append(Problem("EV118", str(error)))
            note = f"{nonce.LATE}what `ec-verify fetch` left is none"
    standing = replace(found, nonce=given is not None, nonce_note=note, problems=tuple(problems))
    return Occasion(standing, given)
