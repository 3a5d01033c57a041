"""Files with more bytes than the disk holds of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ec_verify.scan import sparse
from ec_verify.scan.path import PathTask, look

if TYPE_CHECKING:
    from pathlib import Path

STORE = "/nix/store"
PATH = f"{STORE}/{'0' * 32}-x"
HUGE = 1 << 40


def task(place: Path, *, doubted: bool, limit: int = 1 << 62) -> PathTask:
    """Return the task to look at *place*."""
    return PathTask(PATH, str(place), STORE, limit=limit, doubted=doubted)


def test_hole_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    """Whatever its row claims, and wherever in the tree it is."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x/a").write_bytes(b"a")
    (tmp_path / "x/b").write_bytes(b"")
    os.truncate(tmp_path / "x/b", HUGE)
    seen = look(task(tmp_path / "x", doubted=True))

    assert ("unreadable", None, True) == (seen.problem, seen.nar_hash, f"{HUGE + 1} bytes on" in seen.detail)


def test_hole_that_is_larger_than_its_row_says_is_too_large(tmp_path: Path) -> None:
    """Then the row does not fit, and that is the finding."""
    (tmp_path / "x").write_bytes(b"")
    os.truncate(tmp_path / "x", HUGE)

    assert "oversized" == look(task(tmp_path / "x", doubted=True, limit=120)).problem


def test_holes_are_counted_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many files that are just small enough are too much."""
    monkeypatch.setattr(sparse, "SLACK", 4 << 20)
    (tmp_path / "x").mkdir()
    for number in range(5):
        (tmp_path / f"x/{number}").write_bytes(b"")
        os.truncate(tmp_path / f"x/{number}", 1 << 20)

    assert "unreadable" == look(task(tmp_path / "x", doubted=True)).problem
    monkeypatch.setattr(sparse, "SLACK", 5 << 20)
    assert look(task(tmp_path / "x", doubted=True)).problem is None


def test_images_with_holes_are_read(tmp_path: Path) -> None:
    """A disk image is mostly hole, and what is signed is read whatever it is."""
    (tmp_path / "x").write_bytes(b"boot")
    os.truncate(tmp_path / "x", 64 << 20)

    assert {None} == {look(task(tmp_path / "x", doubted=doubted)).problem for doubted in (True, False)}


@pytest.mark.parametrize("size", [0, 1, 5_000])
def test_ordinary_files_are_read(tmp_path: Path, size: int) -> None:
    """Doubt changes nothing about them."""
    (tmp_path / "x").write_bytes(b"x" * size)

    assert look(task(tmp_path / "x", doubted=False)) == look(task(tmp_path / "x", doubted=True))
