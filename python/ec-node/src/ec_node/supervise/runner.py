"""Keeping ffmpeg going: carries out what `ec_node.supervise.machine` decides."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Protocol

import structlog

from ec_closure.errors import EcError
from ec_node.errors import InputError
from ec_node.ffmpeg import diagnose
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

if TYPE_CHECKING:
    from ec_node.clock import Clock
    from ec_node.ffmpeg.process import Listener, Run
    from ec_node.ffmpeg.progress import Progress

log = structlog.get_logger()


class Job(Protocol):
    """What is kept going."""

    async def start(self) -> tuple[Run, Listener]:
        """Start a run, and return it with who listens to it. Raises `EcError`."""

    def finished(self, code: int) -> bool:
        """Tell whether a run that ended by itself with *code* had nothing left to do."""

    def ready(self) -> None:
        """Take note that it works for the first time."""

    def failed(self, error: EcError, *, again_in: float) -> None:
        """Take note that a run failed, and that the next begins in so many seconds."""

    @property
    def name(self) -> str:
        """What the input is called in messages."""


class Supervisor:
    """Keeps *job* going until it is stopped, or is finished. `run` raises the `EcError` of a job that never worked."""

    def __init__(self, job: Job, limits: Limits, clock: Clock) -> None:
        self._job = job
        self._limits = limits
        self._clock = clock
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._state = State()
        self._run: Run | None = None
        self._task: asyncio.Task[None] | None = None
        self._error: EcError | None = None
        self._mistake: BaseException | None = None

    @property
    def state(self) -> State:
        """Where things stand."""
        return self._state

    @property
    def pid(self) -> int | None:
        """The process id of the current run."""
        return self._run.pid if self._run is not None else None

    def stop(self) -> None:
        """End for good."""
        self._events.put_nowait(Stop(self._clock.monotonic()))

    def restart(self) -> None:
        """Begin anew, with what has changed."""
        self._events.put_nowait(Restart(self._clock.monotonic()))

    def set_limits(self, limits: Limits) -> None:
        """Go by other limits from the next step on."""
        self._limits = limits

    async def run(self) -> None:
        """Work until it is over."""
        try:
            self._take(Begin(self._clock.monotonic()))
            while self._state.phase != "over":
                self._take(await self._next())
                if self._mistake is not None:
                    raise self._mistake
            if self._state.given_up and self._error is not None:
                raise self._error
        finally:
            if self._run is not None:
                self._run.send(signal.SIGKILL)
            if self._task is not None:
                self._task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._task

    async def _next(self) -> Event:
        wait = None if self._state.deadline is None else max(0.0, self._state.deadline - self._clock.monotonic())
        try:
            return await asyncio.wait_for(self._events.get(), wait)
        except TimeoutError:
            return Tick(self._clock.monotonic())

    def _take(self, event: Event) -> None:
        before = self._state
        self._state, actions = step(before, event, self._limits)
        if self._state.reason == "stall" != before.reason:
            self._error = InputError(f"nothing came for {self._patience(before):g} seconds", place=self._job.name)
        if (
            self._state.phase == "waiting" != before.phase
            and self._error is not None
            and self._state.deadline is not None
        ):
            self._job.failed(self._error, again_in=self._state.deadline - event.now)
            self._error = None
        for action in actions:
            self._do(action)

    def _patience(self, state: State) -> float:
        return self._limits.start if state.phase == "starting" else self._limits.stall

    def _do(self, action: Action) -> None:
        match action:
            case Action.SPAWN:
                self._error = None
                self._task = asyncio.ensure_future(self._follow())
                self._task.add_done_callback(self._ended_by_a_mistake)
            case Action.TERMINATE if self._run is not None:
                self._run.send(signal.SIGTERM)
            case Action.KILL if self._run is not None:
                self._run.send(signal.SIGKILL)
            case Action.TERMINATE | Action.KILL if self._task is not None:
                # It is not started yet: a tuner is being looked for.
                self._task.cancel()
            case Action.READY:
                self._job.ready()

    def _ended_by_a_mistake(self, task: asyncio.Task[None]) -> None:
        """Let what is no error of the input's come out: whoever started this process starts it again."""
        if not task.cancelled() and (mistake := task.exception()) is not None:
            self._mistake = mistake
            self.stop()

    async def _follow(self) -> None:
        """Do one run, and report how it ended."""
        finished, error = False, None
        try:
            self._run, listener = await self._job.start()
            code = await self._run.follow(_Watched(listener, self))
            finished = self._job.finished(code)
            error = diagnose.ended(code, tuple(self._run.words), what=self._job.name)
        except EcError as found:
            error = found
        except asyncio.CancelledError:
            error = InputError("nothing came in time", place=self._job.name)
        self._run = None
        # Of a stall, the reason is known already; that it was ended by a signal says less.
        self._error = self._error or error
        self._events.put_nowait(Ended(self._clock.monotonic(), finished, self._clock.chance()))

    def advanced(self) -> None:
        """Take note of output."""
        self._events.put_nowait(Advanced(self._clock.monotonic()))

    def reported(self) -> None:
        """Take note of what a program says about its progress."""
        self._events.put_nowait(Reported(self._clock.monotonic()))


class _Watched:
    """Tells the supervisor of progress, and hands everything on."""

    def __init__(self, listener: Listener, supervisor: Supervisor) -> None:
        self._listener = listener
        self._supervisor = supervisor
        self._time: int | None = None

    def data(self, chunk: bytes) -> None:
        self._listener.data(chunk)

    def progress(self, report: Progress) -> None:
        # The first report comes before anything was read; only what changes is progress.
        if report.time is not None and report.time > 0 and report.time != self._time:
            self._time = report.time
            self._supervisor.reported()
        self._listener.progress(report)

    def end(self) -> None:
        self._listener.end()
