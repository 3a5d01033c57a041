"""`ec-verify status`: what the last run said."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import msgspec

from ec_closure.errors import BadInputError
from ec_closure.report import RunOutput
from ec_verify.commands.options import Common, Listing
from ec_verify.commands.show import show
from ec_verify.errors import StateError
from ec_verify.report.deliver import LAST_RUN
from ec_verify.report.submit import Spool
from ec_verify.state import State


def last_run(state: State) -> RunOutput | None:
    """Return what the last run said, None before the first. Raises `StateError` when the file is damaged."""
    data = state.read(LAST_RUN)
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=RunOutput)
    except (msgspec.DecodeError, UnicodeDecodeError, BadInputError) as error:
        raise StateError(
            f"damaged: {error}", place=str(state.path / LAST_RUN), hint="delete it; the next run writes it anew"
        ) from error


def status(*, common: Common = Common(), listing: Listing = Listing()) -> int:
    """Print what the last run said, how old it is, and how many reports wait to be sent.

    Exits as that run did, with 3 when there was none.
    """
    settings = common.settings()
    found = last_run(State(settings.config.state))
    if found is None:
        sys.stderr.write("ec-verify: no run yet\n  hint: `ec-verify run`\n")
        return 3
    show(found, as_json=common.json, all_findings=listing.all)
    if not common.json:
        age = int(datetime.now(UTC).timestamp()) - found.finished
        waiting = len(Spool(settings.config.state / "spool").waiting())
        sys.stdout.write(f"{age} seconds ago; {waiting} reports wait to be sent\n")
    return {"passed": 0, "failed": 1, "undecided": 3}[found.verdict]
