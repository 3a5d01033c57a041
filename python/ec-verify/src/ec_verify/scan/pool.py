"""Hashing many store paths at once: largest first, one path a task, in processes.

Threads do not help here: small files spend their time in the interpreter. A handful of small paths
is quicker without a pool.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ec_closure.errors import LocalError
from ec_verify.scan.path import PathObservation, PathTask, look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Below this many bytes a pool costs more than it brings.
_WORTH_A_POOL = 64 << 20


def look_at_all(
    tasks: list[PathTask], *, workers: int | None = None, advance: Callable[[int], None] = lambda _bytes: None
) -> dict[str, PathObservation]:
    """Look at every path of *tasks*; *advance* is told the bytes done. Observations by store path.

    Raises `LocalError` when a process of the pool was killed: what it looked at is then unknown.
    """
    ordered = sorted(tasks, key=lambda task: (-task.size, task.path))
    count = min(workers or os.cpu_count() or 1, len(ordered))
    found: dict[str, PathObservation] = {}
    if count <= 1 or sum(task.size for task in ordered) < _WORTH_A_POOL:
        for task in ordered:
            found[task.path] = look(task)
            advance(task.size)
        return found
    with _pool(count) as pool:
        futures = {pool.submit(look, task): task for task in ordered}
        for future in as_completed(futures):
            try:
                found[futures[future].path] = future.result()
            except BrokenProcessPool as error:
                raise LocalError(
                    "a process that hashes the store was killed", hint="look for lack of memory in the kernel's log"
                ) from error
            advance(futures[future].size)
    return found


@contextmanager
def _pool(count: int) -> Iterator[ProcessPoolExecutor]:
    # A fork server: forking a process that draws progress in a thread may deadlock the child.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ec_verify.scan.path"])
    pool = ProcessPoolExecutor(count, mp_context=context)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
