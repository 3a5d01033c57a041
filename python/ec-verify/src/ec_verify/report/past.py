"""The runs of the past, a file of bounded size in the state directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from ec_closure import strict_json
from ec_closure.errors import EcError
from ec_closure.history import MAX_BYTES, MAX_RUNS, History, PastRun

if TYPE_CHECKING:
    from ec_closure.report import Report
    from ec_verify.state import State

FILE = "history.json"

log = structlog.get_logger()


def read(state: State) -> History:
    """Return the history, empty before the first run. Raises `EcError` when the file is damaged."""
    data = state.read(FILE, MAX_BYTES + 1)
    return History() if data is None else strict_json.decode(data, History, what=FILE, max_bytes=MAX_BYTES)


def add(state: State, report: Report) -> None:
    """Add a run. A damaged history starts anew: it is for people, and no verdict rests on it. Raises `StateError`."""
    try:
        before = read(state).runs
    except EcError as error:
        log.warning("the history of runs starts anew", reason=str(error))
        before = ()
    run = PastRun(
        counter=report.counter,
        finished=report.finished,
        level_asked=report.level_asked,
        level_reached=report.level_reached,
        verdict=report.verdict,
        counts=report.counts,
        reading=report.reading,
    )
    state.write(FILE, msgspec.json.encode(History(runs=(*before, run)[-MAX_RUNS:]), order="sorted"))
