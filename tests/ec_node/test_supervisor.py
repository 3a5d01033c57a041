"""The supervisor with runs that are no programs: what it does when they fail in ways that ffmpeg seldom does."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest

from ec_node.clock import Clock
from ec_node.errors import InputError, ProgramError
from ec_node.ffmpeg.progress import Progress
from ec_node.supervise.machine import Limits
from ec_node.supervise.runner import Supervisor

if TYPE_CHECKING:
    from ec_closure.errors import EcError

AT_ONCE = Limits(start=5, stall=0.02, grace=0.02, base=0, cap=0, steady=60, late=60)


class Run:
    """A run that does what its script says: reports, then an exit code, an error, or silence until it is killed."""

    def __init__(self, *script: Any) -> None:
        self.pid = 1
        self.words: deque[str] = deque(["something failed"])
        self._script = script
        self._killed = asyncio.Event()
        self.signals: list[signal.Signals] = []

    async def follow(self, listener: Any) -> int:
        """Do it."""
        for step in self._script:
            if isinstance(step, Progress):
                listener.progress(step)
            elif isinstance(step, bytes):
                listener.data(step)
            elif isinstance(step, BaseException):
                raise step
            elif isinstance(step, int):
                return step
            # What was reported is dealt with before the next step.
            await asyncio.sleep(0)
        await self._killed.wait()
        return -9

    def send(self, number: signal.Signals) -> None:
        """Take a signal; only one is obeyed."""
        self.signals.append(number)
        if number is signal.SIGKILL:
            self._killed.set()


class Job:
    """Starts the runs that it was given, one after another, and the last is the end."""

    name = "input"

    def __init__(self, *runs: Any) -> None:
        self.runs = list(runs)
        self.failures: list[str] = []
        self.supervisor: Supervisor | None = None

    async def start(self) -> Any:
        """Start the next run."""
        run = self.runs.pop(0)
        if isinstance(run, BaseException):
            raise run
        return run, self

    def finished(self, code: int) -> bool:
        """Tell whether it was the last."""
        return code == 0

    def ready(self) -> None:
        """Nothing is to be told."""

    def failed(self, error: EcError, *, again_in: float) -> None:
        """Take note."""
        assert again_in >= 0
        self.failures.append(str(error))

    def data(self, _: bytes) -> None:
        """Take what was published for progress."""
        assert self.supervisor is not None
        self.supervisor.advanced()

    def progress(self, report: Progress) -> None:
        """Nothing is to be told."""

    def end(self) -> None:
        """Nothing is left."""


def supervised(*runs: Any) -> Job:
    """Return the job after all *runs*."""

    async def work() -> Job:
        job = Job(*(run() if callable(run) else run for run in runs))
        job.supervisor = Supervisor(job, AT_ONCE, Clock(chance=lambda: 0.0))
        async with asyncio.timeout(20):
            await job.supervisor.run()
        return job

    return asyncio.run(work())


def test_runs_that_fail_are_followed_by_others_until_one_finishes() -> None:
    """Each failure is told with its own cause."""
    job = supervised(
        lambda: Run(b"x", 1),
        InputError("no tuner answers"),
        lambda: Run(b"x", InputError("its clock has jumped")),
        lambda: Run(b"x", 0),
    )

    assert ["input: ffmpeg ended with 1: something failed", "no tuner answers", "its clock has jumped"] == job.failures


def test_a_run_that_listens_to_nothing_is_killed_and_told_as_silent() -> None:
    """Not as one that a signal ended."""
    stuck: list[Run] = []

    def silent() -> Run:
        stuck.append(Run(b"x"))
        return stuck[0]

    job = supervised(silent, lambda: Run(b"x", 0))

    assert ["input: nothing came for 0.02 seconds"] == job.failures
    assert [signal.SIGTERM, signal.SIGKILL] == stuck[0].signals[:2]


def test_what_never_worked_comes_out() -> None:
    """As the error that it was."""
    with pytest.raises(ProgramError, match="something failed"):
        supervised(lambda: Run(1))


def test_a_mistake_of_ours_is_not_taken_for_a_bad_input() -> None:
    """It comes out at once: nobody waits for a run that will never be told to have ended."""
    with pytest.raises(ZeroDivisionError):
        supervised(lambda: Run(b"x", ZeroDivisionError("ours")))
