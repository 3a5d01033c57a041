"""`ec-verify status`: what the last run said."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure.errors import BadInputError, EcError
from ec_closure.history import NextRun
from ec_closure.report import RunOutput
from ec_verify.commands.options import Common, Listing
from ec_verify.commands.show import show
from ec_verify.config import Config, Settings
from ec_verify.courier import ledger
from ec_verify.errors import StateError
from ec_verify.explain.last import last_case
from ec_verify.judge.coverage import EPHEMERAL
from ec_verify.memory import keeper
from ec_verify.observe import persistence
from ec_verify.report import past
from ec_verify.report.deliver import LAST_RUN
from ec_verify.report.submit import Spool
from ec_verify.state import State
from ec_verify.text import printable

_SHOWN = 20
_DAY = 86400


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


def _history(settings: Settings, state: State, *, coming: bool, as_json: bool) -> None:
    found = past.read(state)
    if coming:
        memory = keeper.opened(settings, state, now=int(datetime.now(UTC).timestamp()), tidy=False)
        found = msgspec.structs.replace(
            found, next=memory.foresee(last_case(state)) if memory is not None else NextRun()
        )
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
        return
    for run in found.runs[-_SHOWN:]:
        when = datetime.fromtimestamp(run.finished, UTC).strftime("%Y-%m-%dT%H:%MZ")
        reading = run.reading
        sys.stdout.write(
            f"{when}  {run.verdict:9}  {run.level_reached or 'no level'} of {run.level_asked}, "
            f"{reading.read} read, {reading.unchanged} unchanged (oldest {reading.oldest_age // _DAY} days), "
            f"{reading.rebuilt} rebuilt, {reading.rebuilt_before} rebuilt before\n"
        )
    if found.next is not None:
        ahead = found.next
        sys.stdout.write(
            f"next: {ahead.remembered} paths are asked whether they changed; {ahead.due} of them "
            f"({ahead.due_size >> 20} MiB) are read in any case; {ahead.rebuilt} outputs still count as rebuilt\n"
        )
        sys.stdout.writelines(f"  {printable(path)}\n" for path in ahead.paths)
        if ahead.derivations:
            sys.stdout.write("rebuilt first, in this order, by a run that rebuilds:\n")
        sys.stdout.writelines(f"  {printable(path)}\n" for path in ahead.derivations)


def _waiting(config: Config) -> int:
    spool = Spool(config.spool)
    try:
        return len(ledger.unsent(spool, ledger.read(config.courier_dir)))
    except EcError:
        return len(spool.waiting())  # the next run says what lies there


def status(
    *,
    history: Annotated[bool, Parameter(help="Print what each of the last runs reached and read.", negative=())] = False,
    coming: Annotated[
        bool,
        Parameter(
            name="--next", help="Print what the next run would read in any case, and rebuild first.", negative=()
        ),
    ] = False,
    common: Common = Common(),
    listing: Listing = Listing(),
) -> int:
    """Print what the last run said, how old it is, and how many reports wait to be sent.

    Exits as that run did, with 3 when there was none. With --history or --next, other things are printed instead, and
    the exit code is 0.
    """
    settings = common.settings()
    if history or coming:
        _history(settings, State(settings.config.state), coming=coming, as_json=common.json)
        return 0
    found = last_run(State(settings.config.state))
    if found is None:
        sys.stderr.write("ec-verify: no run yet\n  hint: `ec-verify run`\n")
        return 3
    show(found, as_json=common.json, all_findings=listing.all)
    if not common.json:
        age = int(datetime.now(UTC).timestamp()) - found.finished
        sys.stdout.write(f"{age} seconds ago; {_waiting(settings.config)} reports wait to be sent\n")
        lies = persistence.observe(settings.config.state)
        if lies.volatile is not None:
            sys.stdout.write(f"{EPHEMERAL.format(printable(lies.volatile))}\n")
    return {"passed": 0, "failed": 1, "undecided": 3}[found.verdict]
