"""Hashing in processes gives what one process gives."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_closure.errors import LocalError
from ec_verify.scan import pool
from ec_verify.scan.metadata import Owner
from ec_verify.scan.path import PathTask, look

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_verify.scan.path import PathObservation

STORE = "/nix/store"


@pytest.fixture
def tasks(tmp_path: Path) -> list[PathTask]:
    """Give a handful of paths, one missing, one unarchivable and one with anomalies among them."""
    owner = Owner(os.geteuid(), (tmp_path.stat().st_gid,))
    made = []
    for number in range(6):
        place = tmp_path / f"path-{number}"
        if number == 0:
            os.mkfifo(place)
        elif number != 1:
            place.write_bytes(bytes([number]) * number * 1000)
        made.append(
            PathTask(
                path=f"{STORE}/{number:032}-path",
                physical=str(place),
                store_dir=STORE,
                ca="text:sha256:" + "0" * 64 if number == 5 else None,
                owner=owner,
                size=number * 1000,
            )
        )
    return made


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let even the smallest work be shared, path by path; nobody may be left afterwards."""
    monkeypatch.setattr(pool, "_WORTH_A_POOL", 0)
    monkeypatch.setattr(pool, "_BATCH", 0)
    before = threading.active_count(), processes()
    yield
    assert before == (threading.active_count(), processes())


def processes() -> set[str]:
    """Return the processes that this one started and that have not ended."""
    return {child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()}


def after_the_helpers(task: PathTask) -> PathObservation:
    """Look at a path once no helper is at work any more."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join()
    return look(task)


@pytest.mark.usefixtures("helped")
def test_processes_see_what_one_process_sees(tasks: list[PathTask]) -> None:
    """Observations travel whole: hashes, anomalies, addresses and problems."""
    expected = {task.path: look(task) for task in tasks}
    done: list[int] = []

    assert expected == pool.look_at_all(tasks, workers=2, advance=done.append)
    assert sorted(task.size for task in tasks) == sorted(done)


@pytest.mark.usefixtures("helped")
def test_a_helper_does_what_this_process_leaves_to_it(tasks: list[PathTask], monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the first path, when this process is slow."""
    expected = {task.path: look(task) for task in tasks}
    here: list[PathTask] = []

    def slow(task: PathTask) -> PathObservation:
        here.append(task)
        return after_the_helpers(task)

    monkeypatch.setattr(pool, "look", slow)

    assert expected == pool.look_at_all(tasks, workers=2)
    assert len(here) == 1


def test_a_few_small_paths_need_no_pool(tasks: list[PathTask], monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting processes costs more than it brings."""
    monkeypatch.setattr(pool, "_Helper", None)

    assert {task.path for task in tasks} == pool.look_at_all(tasks, workers=4).keys()


def test_nothing_to_look_at_is_nothing_seen() -> None:
    """An empty store is no error."""
    assert {} == pool.look_at_all([])


def test_large_paths_come_first_and_small_ones_together() -> None:
    """A large path that is begun last would be waited for; a thousand small ones are not handed over one by one."""
    sizes = [1, 100 << 20, 2, 3, 20 << 20]
    tasks = [PathTask(path=f"{STORE}/{size}", physical="", store_dir=STORE, size=size) for size in sizes]

    assert [[100 << 20], [20 << 20], [3, 2, 1]] == [[task.size for task in batch] for batch in pool.batches(tasks)]


@pytest.mark.usefixtures("helped")
def test_a_killed_process_ends_the_scan_with_a_reason(tasks: list[PathTask], monkeypatch: pytest.MonkeyPatch) -> None:
    """When memory runs out the kernel kills: what was not hashed must not count as seen."""
    monkeypatch.setattr(pool, "_HELPER", "import os, sys; sys.stdin.buffer.read(1); os.kill(os.getpid(), 9)")
    monkeypatch.setattr(pool, "look", after_the_helpers)

    with pytest.raises(LocalError, match="was killed"):
        pool.look_at_all(tasks, workers=2)


@pytest.mark.usefixtures("helped")
def test_an_interrupt_ends_the_helpers(tasks: list[PathTask], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody hashes on for a run that is over."""

    def interrupted(_: PathTask) -> PathObservation:
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "look", interrupted)

    with pytest.raises(KeyboardInterrupt):
        pool.look_at_all(tasks, workers=3)
