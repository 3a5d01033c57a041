"""`ec-verify run`: verify, sign the report, keep it and send it."""

from __future__ import annotations

from datetime import UTC, datetime

from ec_closure.policy import Level
from ec_verify.commands.options import Common, Trust
from ec_verify.commands.show import show
from ec_verify.report import build
from ec_verify.report.deliver import deliver
from ec_verify.report.submit import Dashboard
from ec_verify.run import Request
from ec_verify.run import run as verify
from ec_verify.state import State, boot_id


def run(*, level: Level | None = None, common: Common = Common(), trust: Trust = Trust()) -> int:
    """Verify this node, sign the report, keep it and send it.

    Parameters
    ----------
    level: Literal["bytes", "source", "rebuild", "full"]
        The level to reach; the policy's when not given.
    """
    settings = common.settings()
    request = Request(level or settings.policy.level, trust.reference_time(), trust.offline, trust.manifest_file())
    started = datetime.now(UTC)
    state = State(settings.config.state)
    with state.lock():
        dashboard = Dashboard.of(settings.config.report)
        nonce = dashboard.nonce() if dashboard is not None else None
        outcome = verify(settings, request, common.progress())
        output = deliver(settings, state, outcome, started=started, nonce=nonce)
    show(output, as_json=common.json)
    return outcome.judgement.exit_code


def look(level: Level, common: Common, trust: Trust) -> int:
    """Verify up to *level* and print the result; no report, no counter, nothing sent."""
    settings = common.settings()
    request = Request(level, trust.reference_time(), trust.offline, trust.manifest_file())
    started = datetime.now(UTC)
    with State(settings.config.state).lock():
        outcome = verify(settings, request, common.progress())
    occasion = build.Occasion(started, datetime.now(UTC), boot_id(), 0, None)
    show(build.build(settings, outcome, occasion), as_json=common.json)
    return outcome.judgement.exit_code
