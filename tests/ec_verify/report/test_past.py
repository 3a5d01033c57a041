"""The history of runs: bounded, kept in order, and never in the way of a report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ec_closure.history import MAX_RUNS, History
from ec_closure.report import Reading, Report, VerifierIdentity
from ec_verify.report import past
from ec_verify.state import State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec_verify.conftest import Node


def report(counter: int) -> Report:
    """Return a report."""
    return Report(
        verifier=VerifierIdentity(version="0.1.0"),
        node="node-1",
        policy_digest="0" * 64,
        config_digest="0" * 64,
        toplevel="/nix/store/x",
        level_asked="source",
        verdict="undecided",
        reading=Reading(read=3, unchanged=4),
        started=1000,
        finished=1060,
        reference_time=1000,
        counter=counter,
    )


def test_before_the_first_run_there_is_none(tmp_path: Path) -> None:
    """An empty history is no error."""
    assert History() == past.read(State(tmp_path))


def test_the_last_runs_are_kept_in_order(tmp_path: Path) -> None:
    """And no more of them than fit."""
    state = State(tmp_path)
    for counter in range(MAX_RUNS + 3):
        past.add(state, report(counter))
    runs = past.read(state).runs

    assert list(range(3, MAX_RUNS + 3)) == [run.counter for run in runs]
    assert Reading(read=3, unchanged=4) == runs[-1].reading


def test_a_damaged_history_starts_anew(tmp_path: Path) -> None:
    """No verdict rests on it, and no report may be lost for it."""
    state = State(tmp_path)
    state.write(past.FILE, b"{")
    past.add(state, report(7))

    assert [7] == [run.counter for run in past.read(state).runs]


def test_status_prints_what_was_and_what_comes(node: Node) -> None:
    """Two runs, for people and as JSON; looking changes nothing."""
    node.run("run")
    node.run("run")
    before = sorted(file.name for file in node.state.iterdir())
    told = node.run("status", "--history", time=False)
    found = json.loads(node.run("status", "--history", "--next", "--json", time=False).out)

    assert (0, 2) == (told.exit, told.out.count("of bytes"))
    assert [1, 2] == [run["counter"] for run in found["runs"]]
    assert "remembered" in found["next"]
    assert before == sorted(file.name for file in node.state.iterdir())


def test_status_says_how_many_are_due(node: Node) -> None:
    """The next run's share of a memory, by what it holds."""
    node.run("run", time=False)

    ran = node.run("status", "--next", time=False)

    assert 0 == ran.exit
    assert "paths are asked whether they changed" in ran.out
