"""What to do about a program that should run for ever: a function of what was, and what happened. Pure.

Time is a monotonic clock's, in seconds, and comes with each event; so does chance. The caller keeps the program: it
does what the actions say, reports what happens, and sends `Tick` when `deadline` has come.

    starting ──Advanced──► running ──stall──► ending ──Ended──► waiting ──► starting …
       │ Ended before anything ever advanced                   (back-off)
       ▼
      over: given up, for somebody to see; once it has run, nothing but a stop or its own end ends it
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal

from ec_node.supervise import backoff

Phase = Literal["new", "starting", "running", "ending", "waiting", "over"]
Reason = Literal["stall", "stop", "restart"]


class Action(Enum):
    """What the caller has to do."""

    SPAWN = "spawn"
    TERMINATE = "terminate"
    KILL = "kill"
    READY = "ready"
    """It works for the first time."""


@dataclass(frozen=True)
class Limits:
    """Seconds: for the first output, without progress, between asking and killing, and of back-off.

    What a program reports counts as progress until *output* seconds after its last output. A run of *steady* seconds
    makes earlier failures forgotten. A tick that comes *late* seconds too late says that this process itself was held
    up, and nothing about the program.
    """

    start: float = 60
    stall: float = 10
    output: float = 60
    grace: float = 5
    base: float = 1
    cap: float = 60
    steady: float = 60
    late: float = 3


@dataclass(frozen=True)
class State:
    """Where things stand. *deadline* is when `Tick` is due, None for never; *output* when there was any last."""

    phase: Phase = "new"
    deadline: float | None = None
    attempts: int = 0
    since: float = 0
    output: float = 0
    ready: bool = False
    reason: Reason | None = None
    given_up: bool = False
    held_up: int = 0


@dataclass(frozen=True)
class Begin:
    """Start for the first time."""

    now: float


@dataclass(frozen=True)
class Advanced:
    """The program has put something out."""

    now: float


@dataclass(frozen=True)
class Reported:
    """The program says that it works. That it can be used is shown by what it puts out alone."""

    now: float


@dataclass(frozen=True)
class Ended:
    """The program is gone. *finished* says that it had nothing left to do. *chance* is from 0 to 1."""

    now: float
    finished: bool
    chance: float


@dataclass(frozen=True)
class Tick:
    """Time has passed."""

    now: float


@dataclass(frozen=True)
class Stop:
    """End for good."""

    now: float


@dataclass(frozen=True)
class Restart:
    """Begin anew at once: its settings have changed."""

    now: float


Event = Begin | Advanced | Reported | Ended | Tick | Stop | Restart
Step = tuple[State, tuple[Action, ...]]


def step(state: State, event: Event, limits: Limits) -> Step:
    """Return the state after *event*, and what to do about it. An event that does not fit changes nothing."""
    match event:
        case Begin(now) if state.phase == "new":
            return _start(state, now, limits)
        case Advanced(now) if state.phase in ("starting", "running"):
            return _advanced(state, now, limits)
        case Reported(now) if state.phase == "running" and now - state.output < limits.output:
            return replace(state, deadline=now + limits.stall), ()
        case Ended() if state.phase in ("starting", "running", "ending"):
            return _ended(state, event, limits)
        case Tick(now) if state.deadline is not None and now >= state.deadline:
            return _due(state, now, limits)
        case Stop(now):
            return _stop(state, now, limits)
        case Restart(now):
            return _restart(state, now, limits)
    return state, ()


def _start(state: State, now: float, limits: Limits) -> Step:
    return replace(state, phase="starting", deadline=now + limits.start, since=now, reason=None), (Action.SPAWN,)


def _advanced(state: State, now: float, limits: Limits) -> Step:
    actions = () if state.ready else (Action.READY,)
    since = now if state.phase == "starting" else state.since
    attempts = 0 if now - since >= limits.steady else state.attempts
    deadline = now + limits.stall
    return replace(
        state, phase="running", deadline=deadline, since=since, output=now, attempts=attempts, ready=True, reason=None
    ), actions


def _ended(state: State, event: Ended, limits: Limits) -> Step:
    if state.reason == "stop" or (event.finished and state.ready and state.reason is None):
        return replace(state, phase="over", deadline=None), ()
    if state.reason == "restart":
        return _start(replace(state, attempts=0), event.now, limits)
    if not state.ready:
        return replace(state, phase="over", deadline=None, given_up=True), ()
    wait = backoff.delay(state.attempts, event.chance, base=limits.base, cap=limits.cap)
    return replace(state, phase="waiting", deadline=event.now + wait, attempts=state.attempts + 1, reason=None), ()


def _due(state: State, now: float, limits: Limits) -> Step:
    if state.phase == "waiting":
        return _start(state, now, limits)
    if state.phase == "ending":
        # Also a program that was stopped, or waits for a disk, ends when it can.
        return replace(state, deadline=now + limits.grace), (Action.KILL,)
    if state.deadline is not None and now - state.deadline > limits.late:
        patience = limits.start if state.phase == "starting" else limits.stall
        return replace(state, deadline=now + patience, output=now, held_up=state.held_up + 1), ()
    return _end(state, "stall", now, limits)


def _stop(state: State, now: float, limits: Limits) -> Step:
    if state.phase in ("starting", "running"):
        return _end(state, "stop", now, limits)
    if state.phase == "ending":
        return replace(state, reason="stop"), ()
    return replace(state, phase="over", deadline=None), ()


def _restart(state: State, now: float, limits: Limits) -> Step:
    if state.phase in ("starting", "running"):
        return _end(state, "restart", now, limits)
    if state.phase == "ending" and state.reason != "stop":
        return replace(state, reason="restart"), ()
    if state.phase == "waiting":
        return _start(replace(state, attempts=0), now, limits)
    return state, ()


def _end(state: State, reason: Reason, now: float, limits: Limits) -> Step:
    return replace(state, phase="ending", reason=reason, deadline=now + limits.grace), (Action.TERMINATE,)
