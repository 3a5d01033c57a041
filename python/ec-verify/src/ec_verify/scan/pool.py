"""Hashing many store paths at once, largest first: in this process, and in helpers beside it.

Threads alone do not help: small files spend their time in the interpreter. This process works from the first moment,
while its helpers still start; a thread for each hands it the next paths and waits. A helper is a plain interpreter:
forking a process that draws progress in a thread may deadlock, and `multiprocessing` would load the whole program.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING

from ec_closure.errors import LocalError
from ec_verify.scan.path import PathObservation, PathTask, look

if TYPE_CHECKING:
    from collections.abc import Callable

# What a path costs beyond its bytes, in bytes that could be hashed in that time.
_PATH = 128 << 10
# What asking for the metadata of one entry costs, where nothing is read.
_ENTRY = 4 << 10
# Below this a helper costs more than it brings; it takes some 40 ms to start.
_WORTH_A_POOL = 64 << 20
# Small paths travel together: handing them over one by one costs more than hashing them.
_BATCH = 8 << 20
# With the paths of this process, for what is only found through them. Isolated: no module from the working directory.
_HELPER = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); from ec_verify.scan.helper import serve; serve()"
)


def look_at_all(
    tasks: list[PathTask], *, workers: int | None = None, advance: Callable[[int], None] = lambda _bytes: None
) -> dict[str, PathObservation]:
    """Look at every path of *tasks*; *advance* is told the bytes done. Observations by store path.

    *workers* is how many processes take part, this one included; as many as there are processors to run on when it is
    not given. Raises `LocalError` when one of them was killed: what it looked at is then unknown.
    """
    work = _Work(tasks, advance)
    count = workers or len(os.sched_getaffinity(0))
    wanted = min(count, len(work.batches)) - 1 if sum(map(_weight, tasks)) >= _WORTH_A_POOL else 0
    helpers = [_Helper(work) for _ in range(wanted)]
    try:
        work.do(lambda batch: [look(task) for task in batch])
        for helper in helpers:
            helper.join()
    finally:
        work.batches.clear()
        for helper in helpers:
            helper.end()
    if work.failure is not None:
        raise LocalError(work.failure, hint="look for lack of memory in the kernel's log")
    return work.found


class _Work:
    """What is to be done, and what was found; shared by threads."""

    def __init__(self, tasks: list[PathTask], advance: Callable[[int], None]) -> None:
        self.batches = deque(batches(tasks))
        self.found: dict[str, PathObservation] = {}
        self.failure: str | None = None
        self._advance = advance
        self._lock = threading.Lock()

    def do(self, look_at: Callable[[list[PathTask]], list[PathObservation]]) -> None:
        """Take batches until none is left."""
        while True:
            try:
                batch = self.batches.popleft()
            except IndexError:
                return
            seen = look_at(batch)
            with self._lock:
                for task, one in zip(batch, seen, strict=True):
                    self.found[task.path] = one
                    self._advance(task.size)

    def fail(self, reason: str) -> None:
        """Let nobody take more."""
        self.batches.clear()
        self.failure = reason


class _Helper:
    """Another process that takes part, and the thread that talks with it."""

    def __init__(self, work: _Work) -> None:
        self._work = work
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-c", _HELPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        """Wait until nothing is left to do."""
        self._thread.join()

    def end(self) -> None:
        """End the process, whatever it is doing: it holds nothing."""
        self._process.kill()
        self._thread.join()
        self._process.wait()

    def _run(self) -> None:
        with self._process.stdin as to, self._process.stdout as back:  # type: ignore[union-attr]

            def ask(batch: list[PathTask]) -> list[PathObservation]:
                pickle.dump(batch, to)
                to.flush()
                answer: list[PathObservation] = pickle.load(back)  # noqa: S301 - from a process of ours
                return answer

            try:
                pickle.dump(sys.path, to)
                self._work.do(ask)
            except (OSError, EOFError, pickle.UnpicklingError):
                self._work.fail("a process that hashes the store was killed")


def _weight(task: PathTask) -> int:
    return (task.size if task.known is None else task.known.entries * _ENTRY) + _PATH


def batches(tasks: list[PathTask]) -> list[list[PathTask]]:
    """Return *tasks*, largest first, in the portions in which they are handed out."""
    found: list[list[PathTask]] = []
    room = 0
    for task in sorted(tasks, key=lambda task: (-_weight(task), task.path)):
        room -= _weight(task)
        if room < 0:
            found.append([])
            room = _BATCH - _weight(task)
        found[-1].append(task)
    return found
