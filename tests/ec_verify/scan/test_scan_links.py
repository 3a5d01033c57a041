"""What lies in `.links`."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from ec_verify.scan.links import inspect_links
from ec_verify.scan.metadata import Owner

if TYPE_CHECKING:
    from pathlib import Path

# As `nix-hash --type sha256 --base32` gives them.
FILE = "11wa1rsi75lkqc5qnz4dglw9d2brxlcp849fg77rjlkzf7drynp2"
NAME = "0x67g3311ihxwarw846p2jc8wbxmv9bd8ryh7qjpp6d8yb56536b"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """Give a `.links` with a file and a symlink as Nix leaves them."""
    directory = tmp_path / ".links"
    directory.mkdir(mode=0o755)
    (directory / FILE).write_bytes(b"content")
    (directory / FILE).chmod(0o444)
    (directory / NAME).symlink_to("target")
    for entry in directory.iterdir():
        os.utime(entry, (1, 1), follow_symlinks=False)
    return directory


def found(links: Path) -> set[tuple[str, str, int]]:
    """Return what is odd: kind, name, count."""
    owner = Owner(os.geteuid(), (links.stat().st_gid,))
    return {(one.kind, one.name, one.count) for one in inspect_links(links.parent, owner)}


def test_links_of_nix_are_silent(links: Path) -> None:
    """Files and symlinks under hashes."""
    assert set() == found(links)


def test_no_links_are_no_oddity(tmp_path: Path) -> None:
    """Most stores were never optimised; what is no directory is told as an unknown entry."""
    assert [] == inspect_links(tmp_path, Owner(0, (0,)))

    (tmp_path / ".links").symlink_to("/etc")
    assert [] == inspect_links(tmp_path, Owner(0, (0,)))


@pytest.mark.parametrize("name", ["sh", "0" * 51, "0" * 53, "2" + "0" * 51, "e" * 52, "0" * 52 + "\n", ".tmp-link-1-1"])
def test_a_name_that_is_no_hash_is_a_stranger(links: Path, name: str) -> None:
    """Nix would never look there, and everybody else can."""
    (links / FILE).rename(links / name)

    assert {("stranger", f".links/{name.rstrip()}" + "\\x0a" * name.endswith("\n"), 1)} == found(links)


def test_what_is_neither_file_nor_link_is_a_stranger(links: Path) -> None:
    """Whatever it is called, and it is not waited for."""
    (links / NAME).unlink()
    os.mkfifo(links / NAME)

    assert ("stranger", f".links/{NAME}", 1) in found(links)


@pytest.mark.parametrize(
    ("kind", "meddle"),
    [
        ("setid", lambda file: file.chmod(0o4444)),
        ("mode", lambda file: file.chmod(0o644)),
        ("mtime", lambda file: os.utime(file, (2, 2))),
        ("xattr", lambda file: os.setxattr(file, "user.x", b"1")),
    ],
    ids=["setid", "mode", "mtime", "xattr"],
)
def test_metadata_that_nix_does_not_make_are_told(links: Path, kind: str, meddle: object) -> None:
    """The inode of a link is that of store paths, and as canonical."""
    assert callable(meddle)
    meddle(links / FILE)

    assert {(kind, f".links/{FILE}", 1)} == found(links)


@pytest.mark.root
def test_an_owner_that_is_not_the_stores_is_told(links: Path) -> None:
    """Also that of a symlink."""
    os.chown(links / NAME, 1000, 1000, follow_symlinks=False)

    assert {("owner", f".links/{NAME}", 1)} == found(links)


def test_many_of_a_kind_are_one_with_a_number(links: Path) -> None:
    """A million files are no million findings."""
    for number in range(300):
        (links / f"evil-{number}").symlink_to("x")
        os.utime(links / f"evil-{number}", (1, 1), follow_symlinks=False)

    ((kind, name, count),) = found(links)
    assert ("stranger", True, 300) == (kind, name.startswith(".links/evil-"), count)


def test_the_directory_is_judged_as_the_store(links: Path) -> None:
    """Who can write to it decides what the next optimised path is made of."""
    links.chmod(stat.S_IMODE(links.stat().st_mode) | stat.S_IWOTH)

    assert {("mode", ".links", 1)} == found(links)


def test_a_link_that_vanishes_meanwhile_is_passed_over(links: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector removes links that no path shares any more."""
    real = os.lstat

    def lstat(name: bytes, *, dir_fd: int) -> os.stat_result:
        (links / os.fsdecode(name)).unlink()
        return real(name, dir_fd=dir_fd)

    monkeypatch.setattr("ec_verify.scan.links.os.lstat", lstat)

    assert set() == found(links)


def test_bytes_that_their_name_does_not_promise_are_told(links: Path) -> None:
    """Nix would give them to the next path that has a file of that hash."""
    (links / FILE).chmod(0o644)
    (links / FILE).write_bytes(b"c0ntent")
    (links / FILE).chmod(0o444)
    os.utime(links / FILE, (1, 1))

    assert {("content", f".links/{FILE}", 1)} == found(links)


def test_execute_bit_and_target_are_content(links: Path) -> None:
    """They are in the archive that is hashed."""
    (links / FILE).chmod(0o555)
    (links / NAME).unlink()
    (links / NAME).symlink_to("elsewhere")
    os.utime(links / NAME, (1, 1), follow_symlinks=False)

    assert {("content", 2)} == {(kind, count) for kind, _, count in found(links)}


def test_bytes_of_a_path_are_not_hashed_again(links: Path) -> None:
    """The path is scanned, and its bytes are judged there."""
    (links / FILE).rename(links / ("0" * 52))
    os.link(links / ("0" * 52), links.parent / "in-a-path")

    assert set() == found(links)


def test_one_file_under_two_hashes_is_told(links: Path) -> None:
    """A second name in the same directory is no path that is scanned."""
    os.link(links / FILE, links / ("0" * 52))
    os.link(links / NAME, links / ("1" + "0" * 51), follow_symlinks=False)
    ((kind, name, count),) = found(links)

    assert ("content", 2, True) == (kind, count, name.endswith("0" * 51))


def test_link_that_cannot_be_read_is_no_clean_one(links: Path) -> None:
    """A sparse file of terabytes is not read, and that is said."""
    (links / FILE).chmod(0o644)
    os.truncate(links / FILE, 1 << 40)

    with pytest.raises(OSError, match="are not read"):
        found(links)
