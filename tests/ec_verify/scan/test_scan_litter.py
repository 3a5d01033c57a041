"""Looking into what Nix has under way."""

from __future__ import annotations

import os
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from ec_verify.scan.litter import MAX_ENTRIES, Litter, inspect_litter
from ec_verify.scan.oddity import Oddity

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def chroot(tmp_path: Path) -> Path:
    """Give a tree as a build has it under way: writable files, a sticky directory, links to anywhere."""
    root = tmp_path / "x.chroot"
    (root / "tmp").mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    (root / "program").write_bytes(b"#!/bin/sh\n")
    (root / "program").chmod(0o777)
    (root / "link").symlink_to("/bin/su")
    os.mkfifo(root / "tmp" / "fifo")
    return root


def look(root: Path, **bounds: int) -> Litter:
    """Look into *root*."""
    return inspect_litter(root.parent, [root.name], **bounds)


def test_what_a_build_makes_is_silent(chroot: Path) -> None:
    """Nothing in it is canonical yet; a link to a set-user-ID program is not followed."""
    assert Litter() == look(chroot)


@pytest.mark.parametrize("bit", [stat.S_ISUID, stat.S_ISGID])
@pytest.mark.parametrize("name", ["program", "tmp", "."])
def test_set_id_bits_are_told_wherever_they_are(chroot: Path, name: str, bit: int) -> None:
    """A temporary name is the best place for a back door."""
    place = chroot / name
    place.chmod(stat.S_IMODE(place.stat().st_mode) | bit)

    ((kind, where),) = [(one.kind, one.name) for one in look(chroot).oddities]
    assert ("setid", f"x.chroot/{name}".removesuffix("/.")) == (kind, where)


def test_attributes_are_told(chroot: Path) -> None:
    """A capability is as good as a set-user-ID bit."""
    os.setxattr(chroot / "program", "user.x", b"1")
    os.setxattr(chroot / "tmp", "user.y", b"1")

    ((kind, count),) = [(one.kind, one.count) for one in look(chroot).oddities]
    assert ("xattr", 2) == (kind, count)


@pytest.mark.root
def test_devices_are_told(chroot: Path) -> None:
    """Whoever may open it reads the disk."""
    try:
        os.mknod(chroot / "tmp" / "disk", stat.S_IFBLK | 0o666, os.makedev(254, 0))
    except PermissionError:
        pytest.skip("no devices can be made here")

    assert (Oddity("stranger", "x.chroot/tmp/disk", "a device"),) == look(chroot).oddities


@pytest.mark.parametrize(
    ("bounds", "whole"),
    [({"max_entries": 5}, True), ({"max_entries": 4}, False), ({"max_depth": 2}, True), ({"max_depth": 1}, False)],
)
def test_what_has_no_end_is_told_as_such(chroot: Path, bounds: dict[str, int], whole: bool) -> None:  # noqa: FBT001 - a table
    """Five entries, two levels."""
    assert (() if whole else ("x.chroot",)) == look(chroot, **bounds).endless


def test_the_bound_is_for_all_together(chroot: Path) -> None:
    """Many large entries take no longer than one."""
    shutil.copytree(chroot / "tmp", chroot.parent / "trash", copy_function=shutil.copy, ignore=lambda *_: ["fifo"])

    assert ("trash",) == inspect_litter(chroot.parent, ["x.chroot", "trash"], max_entries=5).endless
    assert () == inspect_litter(chroot.parent, ["x.chroot", "trash"], max_entries=6).endless
    assert MAX_ENTRIES > 100_000


def test_names_that_do_not_print_are_escaped(chroot: Path) -> None:
    """They end up in a report."""
    odd = chroot / os.fsdecode(b"\x1b[31m\xff")
    odd.write_bytes(b"")
    odd.chmod(0o4755)

    ((name,),) = [(one.name,) for one in look(chroot).oddities]
    assert "x.chroot/\\x1b[31m\\xff" == name


def test_what_vanished_is_passed_over(tmp_path: Path) -> None:
    """Builds end."""
    assert Litter() == inspect_litter(tmp_path, ["gone"])


def test_what_cannot_be_read_is_told(chroot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not looking is not the same as seeing nothing."""
    real = os.open

    def refuse(name: object, flags: int, **options: int) -> int:
        if name == b"tmp":
            raise PermissionError(13, "Permission denied")
        return real(name, flags, **options)  # type: ignore[arg-type] # whatever it was given

    monkeypatch.setattr("ec_verify.scan.litter.os.open", refuse)

    assert (("x.chroot",), ()) == (look(chroot).unread, look(chroot).endless)
