"""Reading below a directory: root is not led elsewhere."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ec_provision import below
from ec_provision.errors import SourceFileError, UnreadableError

LIMIT = 100


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Give a directory `a` with a file `b` in it, and a secret beside."""
    (tmp_path / "top/a").mkdir(parents=True)
    (tmp_path / "top/a/b").write_text("data")
    (tmp_path / "top/a/b").chmod(0o640)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/b").write_text("secret")
    return tmp_path / "top"


def test_a_file_is_read_with_its_mode(place: Path) -> None:
    """The plain case."""
    assert (b"data", 0o640) == below.read(place, "a/b", limit=LIMIT)
    assert below.exists(place, "a/b")


@pytest.mark.parametrize("path", ["a/c", "c/b", "c/d/b", "c"])
def test_what_is_not_there_is_none(place: Path, path: str) -> None:
    """Neither the file nor a directory on the way."""
    assert below.read(place, path, limit=LIMIT) is None
    assert not below.exists(place, path)


def test_a_link_is_not_followed(place: Path, tmp_path: Path) -> None:
    """Whether it leads out or not, and whether it leads anywhere; it counts as being there."""
    for name, target in (("out", tmp_path / "secret/b"), ("in", "b"), ("nowhere", "/nowhere"), ("itself", "itself")):
        (place / "a" / name).symlink_to(target)
        with pytest.raises(SourceFileError, match="symbolic link"):
            below.read(place, f"a/{name}", limit=LIMIT)
        assert below.exists(place, f"a/{name}")


def test_a_link_on_the_way_is_not_followed(place: Path, tmp_path: Path) -> None:
    """A directory is as good a way out as a file."""
    (place / "l").symlink_to(tmp_path / "secret")

    with pytest.raises(SourceFileError, match="symbolic link"):
        below.read(place, "l/b", limit=LIMIT)
    assert not below.exists(place, "l/b")
    with pytest.raises(NotADirectoryError), below.directory(place, "l/x", create=True):
        pass
    assert ["b"] == [file.name for file in (tmp_path / "secret").iterdir()]


def test_a_link_above_is_ours(place: Path, tmp_path: Path) -> None:
    """The place that a user named may be reached through one."""
    (tmp_path / "link").symlink_to(place)

    assert (b"data", 0o640) == below.read(tmp_path / "link", "a/b", limit=LIMIT)


def test_what_is_no_regular_file_is_refused_at_once(place: Path) -> None:
    """A FIFO that nobody writes to must not stop the boot."""
    os.mkfifo(place / "a/fifo")
    (place / "a/directory").mkdir()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(place / "a/socket"))
    for name in ("fifo", "directory", "socket"):
        with pytest.raises(SourceFileError, match="is no regular file"):
            below.read(place, f"a/{name}", limit=LIMIT)


@pytest.mark.root
def test_a_device_is_refused(place: Path) -> None:
    """Foreign media may hold nodes for every disk."""
    os.mknod(place / "a/zero", 0o020666, os.makedev(1, 5))

    with pytest.raises(SourceFileError, match="is no regular file"):
        below.read(place, "a/zero", limit=LIMIT)


def test_a_file_without_end_is_not_read(place: Path) -> None:
    """Sparse files cost nothing to make."""
    os.truncate(place / "a/b", 1 << 40)

    with pytest.raises(SourceFileError, match="is larger than the 100 bytes"):
        below.read(place, "a/b", limit=LIMIT)


def test_exactly_as_much_as_is_accepted_is_read(place: Path) -> None:
    """The limit is included."""
    (place / "a/b").write_bytes(b"x" * LIMIT)

    assert (b"x" * LIMIT, 0o640) == below.read(place, "a/b", limit=LIMIT)


@pytest.mark.parametrize(("path", "mode"), [("a/b", 0o660), ("a/b", 0o602), ("a", 0o775), ("a", 0o1777)])
def test_what_others_can_write_is_not_believed(place: Path, path: str, mode: int) -> None:
    """Neither the file nor the directory in which it could be replaced; elsewhere nobody asks."""
    (place / path).chmod(mode)

    with pytest.raises(SourceFileError, match="others than root can write it") as caught:
        below.read(place, "a/b", limit=LIMIT, owned=True)
    assert str(place / path) == caught.value.place
    assert below.read(place, "a/b", limit=LIMIT) is not None


@pytest.mark.root
@pytest.mark.parametrize("path", ["a/b", "a"])
def test_what_belongs_to_somebody_else_is_not_believed(place: Path, path: str) -> None:
    """An owner can write whatever the mode says."""
    os.chown(place / path, 1234, 0)

    with pytest.raises(SourceFileError, match="others than root"):
        below.read(place, "a/b", limit=LIMIT, owned=True)


def test_what_the_system_says_is_repeated(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stick with bad sectors is no bad node.toml."""

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "read", broken)

    with pytest.raises(UnreadableError, match="cannot be read: Input/output error"):
        below.read(place, "a/b", limit=LIMIT)


def test_directories_are_made_for_everybody_to_enter(tmp_path: Path) -> None:
    """Whatever the umask; those that are there keep their modes."""
    (tmp_path / "x").mkdir(mode=0o700)
    before = os.umask(0o077)
    try:
        with below.directory(tmp_path, "x/y/z", create=True) as descriptor:
            assert os.path.samestat(os.fstat(descriptor), (tmp_path / "x/y/z").stat())
    finally:
        os.umask(before)

    assert [0o700, 0o755, 0o755] == [(tmp_path / path).stat().st_mode & 0o777 for path in ("x", "x/y", "x/y/z")]


def test_no_descriptor_is_left_open(place: Path) -> None:
    """Whether it went well or not."""
    (place / "a/link").symlink_to("b")
    before = sorted(Path("/proc/self/fd").iterdir())
    for path in ("a/b", "a/c", "c/b", "a/link", "a"):
        try:
            below.read(place, path, limit=2)
        except SourceFileError:
            continue

    assert before == sorted(Path("/proc/self/fd").iterdir())
