"""Reading where somebody writes who is trusted less: plain files of the owner, and nothing else."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from ec_closure import foreign
from ec_closure.foreign import ForeignFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HIDDEN = "what only root may read"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give the directory of somebody else, and beside it a file that is none of theirs."""
    (tmp_path / "secret").write_text(HIDDEN)
    (tmp_path / "theirs" / "inner").mkdir(parents=True)
    return tmp_path / "theirs"


def _link(place: Path) -> None:
    (place / "inner" / "file").symlink_to(place.parent / "secret")


def _linked_directory(place: Path) -> None:
    (place / "inner").rmdir()
    (place.parent / "elsewhere").mkdir()
    (place.parent / "elsewhere" / "file").write_text(HIDDEN)
    (place / "inner").symlink_to(place.parent / "elsewhere")


def _pipe(place: Path) -> None:
    os.mkfifo(place / "inner" / "file")


def _directory(place: Path) -> None:
    (place / "inner" / "file").mkdir()


def _socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(place / "inner")  # names of sockets are short
        server.bind("file")


def _huge(place: Path) -> None:
    with (place / "inner" / "file").open("wb") as file:
        file.truncate(1 << 40)


def _one_more(place: Path) -> None:
    (place / "inner" / "file").write_bytes(b"x" * 11)


def _no_directory(place: Path) -> None:
    (place / "inner").rmdir()
    (place / "inner").write_text("a file")


@pytest.mark.parametrize(
    "plant", [_link, _linked_directory, _pipe, _directory, _socket, _huge, _one_more, _no_directory]
)
def test_what_is_planted_there_is_refused_at_once(
    place: Path, plant: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is waited for, nothing is read beyond the limit, no link is followed, and no message quotes bytes."""
    monkeypatch.chdir(place)
    plant(place)

    with pytest.raises(ForeignFileError) as caught:
        foreign.read(place, "inner/file", 10)

    assert HIDDEN not in str(caught.value)
    assert str(place) in str(caught.value)


@pytest.mark.root
def test_a_hard_link_to_a_file_of_somebody_else_is_refused(place: Path) -> None:
    """Where the kernel allows one, the file's owner still tells."""
    os.link(place.parent / "secret", place / "inner" / "file")
    os.chown(place, 65534, 65534)

    with pytest.raises(ForeignFileError, match="belongs to somebody else"):
        foreign.read(place, "inner/file", 100)


def test_a_plain_file_is_read(place: Path) -> None:
    """Up to the limit, also where the directory itself is reached by a link of whoever named it."""
    (place / "inner" / "file").write_bytes(b"x" * 10)
    (place.parent / "name").symlink_to(place)

    assert b"x" * 10 == foreign.read(place, "inner/file", 10) == foreign.read(place.parent / "name", "inner/file", 10)


@pytest.mark.parametrize("name", ["file", "inner/file", "none/file"])
def test_what_is_not_there_is_nothing(place: Path, name: str) -> None:
    """Before the first time."""
    assert None is foreign.read(place, name, 10) is foreign.read(place / "none", name, 10)


def test_no_descriptor_stays_open(place: Path) -> None:
    """Neither after a refusal nor after a success."""
    (place / "inner" / "file").write_text("x")
    (place / "link").symlink_to("inner")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a directory that changes while it is listed
    foreign.read(place, "inner/file", 10)
    with pytest.raises(ForeignFileError):
        foreign.read(place, "link/file", 10)

    assert before == len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the same
