from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_node.supervise import backoff
from ec_node.supervise.machine import (
    Action,
    Advanced,
    Begin,
    Ended,
    Event,
    Limits,
    Reported,
    Restart,
    State,
    Stop,
    Tick,
    step,
)

LIMITS = Limits(start=60, stall=10, output=60, grace=5, base=1, cap=60, steady=60, late=3)


def after(*events: Event) -> tuple[State, list[Action]]:
    """Return the state after *events*, and everything that was to be done."""
    state, done = State(), list[Action]()
    for event in events:
        state, actions = step(state, event, LIMITS)
        done += actions
    return state, done


def test_what_fails_before_it_ever_worked_is_given_up() -> None:
    """Somebody is to see it: a unit that fails is seen."""
    state, done = after(Begin(0), Ended(1, finished=False, chance=0))

    assert (state.phase, state.given_up, done) == ("over", True, [Action.SPAWN])


def test_what_fails_later_is_tried_again_after_a_while() -> None:
    """For ever."""
    state, done = after(Begin(0), Advanced(1), Ended(2, finished=False, chance=0), Tick(2.5), Tick(3))

    assert (state.phase, done) == ("starting", [Action.SPAWN, Action.READY, Action.SPAWN])


def test_what_makes_no_progress_is_ended_and_then_killed() -> None:
    """Also when it does not listen."""
    state, done = after(Begin(0), Advanced(1), Tick(10.9), Tick(11), Tick(16), Tick(21))

    assert (state.phase, state.reason) == ("ending", "stall")
    assert done == [Action.SPAWN, Action.READY, Action.TERMINATE, Action.KILL, Action.KILL]


def test_what_says_that_it_works_and_puts_nothing_out_is_ended() -> None:
    """As ffmpeg does when pictures stop and sound goes on: it waits for the next key frame, and reports the sound."""
    reports = [event for at in range(2, 62) for event in (Tick(at), Reported(at))]

    state, done = after(Begin(0), Advanced(1), *reports)
    assert (state.phase, state.deadline, done[2:]) == ("running", 70, [])
    state, done = after(Begin(0), Advanced(1), *reports, Reported(61.5), Tick(70))
    assert (state.phase, state.reason) == ("ending", "stall")


def test_who_was_held_up_himself_accuses_nobody() -> None:
    """A process that was stopped for an hour finds an old deadline, and gives the program its time again."""
    state, done = after(Begin(0), Advanced(1), Tick(3600))

    assert (state.phase, state.deadline, state.held_up) == ("running", 3610, 1)
    assert Action.TERMINATE not in done


def test_a_file_that_ends_is_the_end() -> None:
    """Unless it was asked to end."""
    state, _ = after(Begin(0), Advanced(1), Ended(2, finished=True, chance=0))
    stalled, _ = after(Begin(0), Advanced(1), Tick(11), Ended(12, finished=True, chance=0))

    assert (state.phase, state.given_up) == ("over", False)
    assert stalled.phase == "waiting"


def test_a_restart_begins_at_once_and_forgets_failures() -> None:
    """New settings are not to blame for the old ones."""
    waiting = (Begin(0), Advanced(1), Ended(2, finished=False, chance=0))
    running, _ = after(Begin(0), Advanced(1), Restart(2), Ended(3, finished=False, chance=0))
    woken, _ = after(*waiting, Restart(2.1))

    assert (running.phase, running.attempts) == ("starting", 0)
    assert (woken.phase, woken.attempts) == ("starting", 0)


def test_a_steady_run_makes_failures_forgotten() -> None:
    """The next failure is a first one again."""
    again = (Begin(0), Advanced(1), Ended(2, finished=False, chance=0), Tick(3), Advanced(4))
    short, _ = after(*again, Ended(5, finished=False, chance=0))
    steady, _ = after(*again, Advanced(64), Ended(65, finished=False, chance=0))

    assert (short.attempts, steady.attempts) == (2, 1)


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0.1, 10), st.floats(10, 3600))
def test_a_delay_is_within_its_bounds(attempt: int, chance: float, base: float, cap: float) -> None:
    """Whatever the attempt and the chance."""
    found = backoff.delay(attempt, chance, base=base, cap=cap)

    assert base / 2 <= found <= cap
    assert found <= backoff.delay(attempt + 1, chance, base=base, cap=cap)


KINDS = ["advanced", "reported", "ended", "finished", "tick", "late", "stop", "restart"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.floats(0, 30), st.floats(0, 1)), max_size=80))
def test_at_most_one_program_runs_and_nothing_is_forgotten(  # noqa: C901 - one case an event
    steps: list[tuple[str, float, float]],
) -> None:
    """It is started when none runs, ended only while one runs, and there is always a next moment until it is over."""
    state, actions = step(State(), Begin(0), LIMITS)
    now, alive, stopped = 0.0, actions == (Action.SPAWN,), False
    assert alive
    for kind, pause, chance in steps:
        now += pause
        event: Event
        match kind:
            case "advanced":
                event = Advanced(now)
            case "reported":
                event = Reported(now)
            case "ended" | "finished":
                alive = False
                event = Ended(now, finished=kind == "finished", chance=chance)
            case "tick" | "late":
                now = max(now, state.deadline or 0) + (100 if kind == "late" else 0)
                event = Tick(now)
            case "stop":
                stopped = True
                event = Stop(now)
            case _:
                event = Restart(now)
        before = state
        state, actions = step(state, event, LIMITS)
        for action in actions:
            if action is Action.SPAWN:
                assert not alive
                assert not stopped
                alive = True
            elif action is not Action.READY:
                assert before.phase in ("starting", "running", "ending")
        assert (state.deadline is None) == (state.phase == "over")
        assert state.phase not in ("starting", "running") or not stopped
        if state.deadline is not None:
            assert state.deadline - now <= max(LIMITS.cap, LIMITS.start, LIMITS.stall) + 1e-6
        if state.phase == "over":
            assert step(state, Advanced(now), LIMITS) == (state, ())
            break


@pytest.mark.parametrize("phase", ["starting", "running", "waiting"])
def test_a_stop_ends_it_from_wherever_it_is(phase: str) -> None:
    """With one program more to wait for at most."""
    events: dict[str, tuple[Event, ...]] = {
        "starting": (Begin(0),),
        "running": (Begin(0), Advanced(1)),
        "waiting": (Begin(0), Advanced(1), Ended(2, finished=False, chance=0)),
    }
    state, _ = after(*events[phase], Stop(2.2))
    if state.phase == "ending":
        state, _ = step(state, Ended(3, finished=False, chance=0), LIMITS)

    assert (state.phase, state.given_up) == ("over", False)
