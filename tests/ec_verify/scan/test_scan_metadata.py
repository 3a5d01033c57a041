"""What a NAR does not hold: modes, owners, times, set-ID bits, attributes, capabilities, ACLs."""

from __future__ import annotations

import errno
import os
import shutil
import struct
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_closure.nar.hash import hash_path
from ec_closure.policy import Metadata
from ec_verify.scan.metadata import MAX_ANOMALIES, Owner
from ec_verify.scan.path import PathObservation, PathTask, look

if TYPE_CHECKING:
    from pathlib import Path

STORE = "/nix/store"
PATH = f"{STORE}/{'0' * 32}-tree"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree as Nix leaves it: a program, a text, a link and a directory."""
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "program").write_bytes(b"#!/bin/sh\n")
    (root / "text").write_bytes(b"words\n")
    (root / "link").symlink_to("text")
    (root / "bin" / "program").chmod(0o555)
    (root / "text").chmod(0o444)
    for path in (root / "bin", root):
        path.chmod(0o555)
    for path in (root / "bin" / "program", root / "text", root / "link", root / "bin", root):
        os.utime(path, (1, 1), follow_symlinks=False)
    return root


def observe(tree: Path) -> PathObservation:
    """Look at *tree* with its own owner as the right one."""
    owner = Owner(os.geteuid(), (tree.lstat().st_gid,))
    return look(PathTask(path=PATH, physical=str(tree), store_dir=STORE, owner=owner))


def found(tree: Path) -> list[tuple[str, str]]:
    """Return the anomalies of *tree* as kinds and places."""
    return [(one.kind, one.relative) for one in observe(tree).anomalies]


def touch(path: Path) -> None:
    """Set the time that Nix sets."""
    os.utime(path, (1, 1), follow_symlinks=False)


def test_a_tree_as_nix_leaves_it_has_no_anomaly(tree: Path) -> None:
    """What is canonical is silent."""
    assert [] == found(tree)


@pytest.mark.parametrize(
    ("name", "mode", "kind"),
    [
        ("text", 0o644, "mode"),
        ("text", 0o440, "mode"),
        ("text", 0o445, "mode"),
        ("bin/program", 0o755, "mode"),
        ("bin", 0o755, "mode"),
        ("bin", 0o444, "mode"),
        ("", 0o777, "mode"),
        ("bin/program", 0o4555, "setid"),
        ("bin/program", 0o2555, "setid"),
        ("text", 0o4444, "setid"),
        ("bin", 0o2555, "setid"),
        ("", 0o1555, "setid"),
    ],
)
@pytest.mark.root
def test_each_wrong_mode_is_seen_where_it_is(tree: Path, name: str, mode: int, kind: str) -> None:
    """Write bits, missing read bits and set-ID bits, on files, directories and the path itself."""
    (tree / name).chmod(mode)

    assert [(kind, name)] == found(tree)


def test_a_set_id_bit_on_a_writable_file_is_both(tree: Path) -> None:
    """One wrong does not hide the other."""
    (tree / "bin" / "program").chmod(0o6755)

    assert [("setid", "bin/program"), ("mode", "bin/program")] == found(tree)


@pytest.mark.parametrize("stamp", [(1, 2), (1, 0), (1, 1.5), (1, 2_000_000_000)])
def test_each_other_time_is_seen(tree: Path, stamp: tuple[float, float]) -> None:
    """The modification time is one second after the epoch, to the nanosecond; the access time is nobody's business."""
    os.utime(tree / "text", ns=(int(stamp[0] * 1e9), int(stamp[1] * 1e9)))
    os.utime(tree / "bin", ns=(7 * 10**9, 10**9))

    assert [("mtime", "text")] == found(tree)


def test_the_time_of_a_link_is_its_own(tree: Path) -> None:
    """A link is looked at, not what it points at; its mode means nothing."""
    os.utime(tree / "link", (5, 5), follow_symlinks=False)

    assert [("mtime", "link")] == found(tree)


@pytest.mark.root
@pytest.mark.parametrize(("uid", "gid"), [(65533, -1), (-1, 65533)])
@pytest.mark.parametrize("name", ["", "bin", "text", "link"])
def test_each_other_owner_is_seen(tree: Path, name: str, uid: int, gid: int) -> None:
    """User and group, on every kind of entry."""
    os.chown(tree / name, uid, gid, follow_symlinks=False)

    # The tree's own group counts as the store's here.
    owner = Owner(os.geteuid(), (os.getegid(),))
    seen = look(PathTask(path=PATH, physical=str(tree), store_dir=STORE, owner=owner))

    assert [("owner", name)] == [(one.kind, one.relative) for one in seen.anomalies]


@pytest.mark.root
def test_files_of_root_are_innocent_of_the_build_users_group(tree: Path) -> None:
    """The store directory belongs to the group of build users; what lies in it, to that or to root's."""
    os.chown(tree, 0, 30000)
    owner = Owner.of(tree.lstat())

    assert (0, {0, 30000}) == (owner.uid, set(owner.gids))


@pytest.mark.root
def test_a_capability_is_seen(tree: Path) -> None:
    """A file capability makes a program root's without any mode bit."""
    setcap = shutil.which("setcap", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if setcap is None:
        pytest.skip("there is no setcap on the PATH")
    subprocess.run([setcap, "cap_net_admin+ep", tree / "bin" / "program"], check=True)

    assert [("xattr", "bin/program", "security.capability")] == [
        (one.kind, one.relative, one.detail) for one in observe(tree).anomalies
    ]


@pytest.mark.parametrize("name", ["", "bin", "text"])
def test_an_acl_is_seen(tree: Path, name: str) -> None:
    """An ACL lets somebody in whom the mode keeps out."""
    everyone = 0xFFFFFFFF
    entries = [(0x01, 4, everyone), (0x02, 6, 65533), (0x04, 4, everyone), (0x10, 4, everyone), (0x20, 4, everyone)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    mode = (tree / name).stat().st_mode
    _set(tree / name, "system.posix_acl_access", acl)
    (tree / name).chmod(mode)
    touch(tree / name)

    assert ("xattr", name) in found(tree)


def test_an_attribute_is_seen(tree: Path) -> None:
    """Anything that somebody attached is told by its name."""
    _set(tree / "text", "user.note", b"evil")

    assert ["user.note"] == [one.detail for one in observe(tree).anomalies]


@pytest.mark.root
@pytest.mark.parametrize("label", ["security.selinux", "security.SMACK64"])
def test_labels_of_the_running_kernel_say_nothing(tree: Path, label: str) -> None:
    """Where SELinux or Smack is in force every file carries a label."""
    _set(tree / "text", label, b"unconfined_u:object_r:usr_t:s0\0")

    assert [] == found(tree)


@pytest.mark.root
def test_a_label_does_not_hide_another_attribute(tree: Path) -> None:
    """Ignoring labels is not ignoring attributes."""
    _set(tree / "text", "security.selinux", b"unconfined_u:object_r:usr_t:s0\0")
    _set(tree / "text", "user.note", b"evil")

    assert [("xattr", "text")] == found(tree)


def test_hash_and_metadata_come_from_one_pass(tree: Path) -> None:
    """Looking at metadata changes nothing about the hash."""
    plain = hash_path(tree)
    (tree / "text").chmod(0o646)

    seen = observe(tree)

    assert (plain.hash.sri, plain.size, ["mode"]) == (
        seen.nar_hash,
        seen.nar_size,
        [one.kind for one in seen.anomalies],
    )


def test_without_an_owner_metadata_are_left_alone(tree: Path) -> None:
    """Outputs of builders of ours are hashed, not inspected."""
    (tree / "text").chmod(0o777)

    assert () == look(PathTask(path=PATH, physical=str(tree), store_dir=STORE)).anomalies


def test_a_hundred_harmless_anomalies_do_not_hide_a_grave_one(tmp_path: Path) -> None:
    """The cap counts by kind: time stamps on every file must not push out a set-user-ID bit."""
    root = tmp_path / "tree"
    root.mkdir()
    for number in range(2 * MAX_ANOMALIES):
        (root / f"file-{number:03}").write_bytes(b"")
        (root / f"file-{number:03}").chmod(0o444)
    (root / "zz-program").write_bytes(b"")
    (root / "zz-program").chmod(0o4555)
    touch(root / "zz-program")
    root.chmod(0o555)

    seen = observe(root).anomalies

    assert (MAX_ANOMALIES, [("setid", "zz-program")]) == (
        sum(one.kind == "mtime" for one in seen),
        [(one.kind, one.relative) for one in seen if one.kind != "mtime"],
    )


def test_names_that_are_no_utf_8_are_spelled_out(tmp_path: Path) -> None:
    """A place can be read whatever the name is."""
    root = tmp_path / "tree"
    root.mkdir()
    (root / os.fsdecode(b"\xff")).write_bytes(b"")

    assert {"", "\\xff"} == {one.relative for one in observe(root).anomalies}


def _set(path: Path, name: str, value: bytes) -> None:
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EPERM):
            pytest.skip(f"this file system takes no {name}")
        raise


def test_a_file_system_without_attributes_has_none(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A squashfs answers that it knows none: that is no reason not to read a path."""

    def refuse(*_arguments: object, **_options: object) -> list[str]:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(os, "listxattr", refuse)
    seen = observe(tree)

    assert (None, ()) == (seen.problem, seen.anomalies)
    assert seen.nar_hash is not None


def test_the_time_that_images_carry_is_canonical_on_images_alone(tree: Path) -> None:
    """Makers of squashfs and ISO images set every time stamp to the epoch itself; nothing else does."""
    os.utime(tree / "text", (0, 0))
    owner = Owner(os.geteuid(), (tree.lstat().st_gid,))
    task = PathTask(path=PATH, physical=str(tree), store_dir=STORE, owner=owner)

    assert ["text"] == [one.relative for one in look(task).anomalies]
    assert () == look(replace(task, owner=owner.of_image())).anomalies
    os.utime(tree / "text", (2, 2))
    assert ["text"] == [one.relative for one in look(replace(task, owner=owner.of_image())).anomalies]


@pytest.mark.root
def test_policy_allows_groups_and_attributes_and_nothing_beside_them(tree: Path) -> None:
    """A rule for one group or name lets no other through, and no number of allowed ones hides another."""
    owner = Owner(os.geteuid(), (tree.lstat().st_gid,)).under(Metadata(groups=(4242,), attributes=("user.backup.*",)))
    os.chown(tree / "text", -1, 4242)
    for name in ("user.backup.a", "user.backup.b"):
        os.setxattr(tree / "text", name, b"1")
    task = PathTask(path=PATH, physical=str(tree), store_dir=STORE, owner=owner)
    assert () == look(task).anomalies

    os.chown(tree / "text", -1, 4243)
    os.setxattr(tree / "text", "user.other", b"1")

    assert {("owner", "text"), ("xattr", "text")} == {(one.kind, one.relative) for one in look(task).anomalies}
    assert {"user.other"} == {one.detail for one in look(task).anomalies if one.kind == "xattr"}
