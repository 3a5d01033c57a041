"""Hashing in processes gives what one process gives."""

from __future__ import annotations

import os
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Self

import pytest

from ec_closure.errors import LocalError
from ec_verify.scan import pool
from ec_verify.scan.metadata import Owner
from ec_verify.scan.path import PathTask, look

if TYPE_CHECKING:
    from pathlib import Path

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


def test_processes_see_what_one_process_sees(tasks: list[PathTask], monkeypatch: pytest.MonkeyPatch) -> None:
    """Observations travel whole: hashes, anomalies, addresses and problems."""
    expected = {task.path: look(task) for task in tasks}
    monkeypatch.setattr(pool, "_WORTH_A_POOL", 0)
    done: list[int] = []

    assert expected == pool.look_at_all(tasks, workers=2, advance=done.append)
    assert sorted(task.size for task in tasks) == sorted(done)


def test_a_few_small_paths_need_no_pool(tasks: list[PathTask], monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting processes costs more than it brings."""
    monkeypatch.setattr(pool, "_pool", None)

    assert {task.path for task in tasks} == pool.look_at_all(tasks, workers=4).keys()


def test_nothing_to_look_at_is_nothing_seen() -> None:
    """An empty store is no error."""
    assert {} == pool.look_at_all([])


def test_a_killed_process_ends_the_scan_with_a_reason(tasks: list[PathTask], monkeypatch: pytest.MonkeyPatch) -> None:
    """When memory runs out the kernel kills: what was not hashed must not count as seen."""

    class Broken:
        def submit(self, *_: object) -> object:
            future: Future[object] = Future()
            future.set_exception(BrokenProcessPool("killed"))
            return future

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            return

    monkeypatch.setattr(pool, "_WORTH_A_POOL", 0)
    monkeypatch.setattr(pool, "_pool", lambda _count: Broken())

    with pytest.raises(LocalError, match="was killed"):
        pool.look_at_all(tasks, workers=2)
