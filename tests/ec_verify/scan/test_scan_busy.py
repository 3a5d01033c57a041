"""Telling who is at work on an entry of the store directory."""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING

import pytest

from ec_verify.scan.busy import Patience, working_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = f"{'0' * 32}-thing"
LATER = Patience(now=lambda: time.time() + 3600)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Give a store directory with an entry, with the state directory beside it."""
    (tmp_path / "state").mkdir()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / NAME).touch()
    return tmp_path / "store"


@pytest.fixture
def lock(store: Path) -> Iterator[Path]:
    """Give the entry's lock, held by somebody."""
    file = store / f"{NAME}.lock"
    fd = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_EX)
    yield file
    os.close(fd)


def work(store: Path, name: str = NAME, patience: Patience | None = None) -> str:
    """Ask."""
    return working_on(store, store.parent / "state", name, patience or Patience())


def test_an_entry_is_new_for_a_while(store: Path) -> None:
    """By its inode's change time, which nobody sets; a clock that was set back makes nothing old."""
    assert ("new", "nobody") == (work(store), work(store, patience=LATER))
    assert "new" == work(store, patience=Patience(now=lambda: 0.0))


def test_a_lock_that_is_held_counts_however_old_the_entry(store: Path, lock: Path) -> None:
    """A large path is unpacked for minutes."""
    assert ("held", True) == (work(store, patience=LATER), lock.exists())


def test_asking_leaves_the_lock_alone(store: Path) -> None:
    """Nix can take it at once."""
    file = store / f"{NAME}.lock"
    file.touch()

    assert "new" == work(store)
    with file.open("rb") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_what_is_no_lock_file_locks_nothing(store: Path, kind: str) -> None:
    """A fifo is not waited for, a link not followed."""
    place = store / f"{NAME}.lock"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "link":
        place.symlink_to("nowhere")
    else:
        place.mkdir()

    assert "nobody" == work(store, patience=LATER)


def test_a_lock_that_may_not_be_opened_counts_as_held(store: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is not root cannot ask, and must not call it unknown; the collector's lock is always there."""

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ec_verify.scan.busy.os.open", refuse)
    assert ("held", True) == (work(store), lock.exists())


def test_names_that_are_no_store_paths_are_nobodys(store: Path) -> None:
    """And what is gone is gone."""
    (store / "evil").touch()

    assert ("nobody", "gone") == (work(store, "evil"), work(store, f"{'1' * 32}-x"))
