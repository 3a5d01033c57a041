from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_closure.nar.errors import NarError, TreeError
from ec_closure.nar.hash import hash_path
from ec_closure.nar.reader import NarLimits
from ec_closure.nar.restore import restore
from ec_closure.nar.tokens import CLOSE, DIRECTORY, ENTRY, MAGIC, NODE, REGULAR, SYMLINK, string
from ec_closure.nar.tree import Dir, File, Link, Tree, write_tree

if TYPE_CHECKING:
    from tests.conftest import NixStore

FILE = REGULAR + string(b"evil") + CLOSE


def entry(name: bytes, node: bytes = FILE) -> bytes:
    """Return one entry of a directory."""
    return ENTRY + string(name) + NODE + node + CLOSE


TREE = Dir(
    {
        b"bin": Dir({b"run": File(b"#!/bin/sh\n", executable=True)}),
        b"empty": Dir(),
        b"large": File(os.urandom(600_000)),
        b"link": Link(b"/nowhere/at/all"),
        b"\xff\n": File(),
    }
)


def test_trees_look_as_they_do_in_a_store(tmp_path: Path) -> None:
    """Nobody may write, whoever may execute may, and every time is 1."""
    restore(BytesIO(write_tree(TREE)), tmp_path / "tree")

    modes = {}
    for path in [tmp_path / "tree", *(tmp_path / "tree").rglob("*")]:
        stat = path.lstat()
        modes[os.fsencode(path.relative_to(tmp_path))] = f"{stat.st_mode:o}"
        assert (1, os.geteuid()) == (stat.st_mtime, stat.st_uid), path
    assert modes == {
        b"tree": "40555",
        b"tree/bin": "40555",
        b"tree/bin/run": "100555",
        b"tree/empty": "40555",
        b"tree/large": "100444",
        b"tree/link": "120777",
        b"tree/\xff\n": "100444",
    }


@pytest.mark.nix
def test_nix_finds_the_tree_that_was_archived(nix_store: NixStore, tmp_path: Path) -> None:
    """What Nix dumps, we restore; what we restore, Nix hashes to the same."""
    restore(BytesIO(write_tree(TREE)), tmp_path / "ours")
    archive = nix_store.run_bytes("nix-store", "--dump", tmp_path / "ours")
    restore(BytesIO(archive), tmp_path / "again")

    assert write_tree(TREE) == archive
    assert hash_path(tmp_path / "ours") == hash_path(tmp_path / "again")


@pytest.mark.parametrize("tree", [File(b"x"), Link(b"/etc/passwd"), Dir()], ids=["file", "symlink", "directory"])
def test_nothing_that_exists_is_overwritten(tmp_path: Path, tree: Tree) -> None:
    """Neither a file nor an empty directory nor a dangling symlink, which renaming would silently replace."""
    (tmp_path / "file").write_text("kept")
    (tmp_path / "directory").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    before = sorted(tmp_path.iterdir())

    for path in before:
        with pytest.raises(TreeError, match="already exists"):
            restore(BytesIO(write_tree(tree)), path)

    assert before == sorted(tmp_path.iterdir())
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    "archive",
    [
        MAGIC + DIRECTORY + entry(b"../escaped") + CLOSE,
        MAGIC + DIRECTORY + entry(b"..", DIRECTORY + entry(b"escaped") + CLOSE) + CLOSE,
        MAGIC + DIRECTORY + entry(b"/tmp/escaped") + CLOSE,
        MAGIC + DIRECTORY + entry(b"a", SYMLINK + string(b"..") + CLOSE) + entry(b"a", DIRECTORY + CLOSE) + CLOSE,
        MAGIC + DIRECTORY + entry(b"a", SYMLINK + string(b"..") + entry(b"escaped") + CLOSE) + CLOSE,
        MAGIC + DIRECTORY + entry(b"a", DIRECTORY + entry(b"b") + CLOSE) + entry(b"b") + b"cut off",
    ],
    ids=["dot-dot-slash", "dot-dot", "absolute", "symlink-then-directory", "below-a-symlink", "cut-off"],
)
def test_a_hostile_archive_leaves_nothing_behind(tmp_path: Path, archive: bytes) -> None:
    """Neither inside the destination nor outside it."""
    (tmp_path / "inner").mkdir()

    with pytest.raises(NarError):
        restore(BytesIO(archive), tmp_path / "inner" / "tree")

    assert [tmp_path / "inner"] == list(tmp_path.iterdir())
    assert list((tmp_path / "inner").iterdir()) == []


def test_a_symlink_that_leads_outside_is_restored_but_not_followed(tmp_path: Path) -> None:
    """Links point where they want; entries are made beside them."""
    (tmp_path / "outside").mkdir()
    restore(BytesIO(write_tree(Dir({b"a": Link(b"../outside"), b"b": Dir({b"c": File()})}))), tmp_path / "tree")

    assert list((tmp_path / "outside").iterdir()) == []
    assert (tmp_path / "tree" / "a").readlink() == Path("../outside")


def test_limits_hold_here_too(tmp_path: Path) -> None:
    """And what was written until then is removed."""
    with pytest.raises(NarError, match="entries"):
        restore(BytesIO(write_tree(TREE)), tmp_path / "tree", NarLimits(entries=3))

    assert list(tmp_path.iterdir()) == []


def test_a_destination_without_parent_is_a_typed_error(tmp_path: Path) -> None:
    """With the parent as its place."""
    with pytest.raises(TreeError, match="no such file") as caught:
        restore(BytesIO(write_tree(TREE)), tmp_path / "no" / "tree")

    assert str(tmp_path / "no") == caught.value.place


def test_what_the_stream_raises_passes_through(tmp_path: Path) -> None:
    """And leaves nothing behind."""

    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 300:
                raise ConnectionResetError
            return super().read(size)

    with pytest.raises(ConnectionResetError):
        restore(Broken(write_tree(TREE)), tmp_path / "tree")

    assert list(tmp_path.iterdir()) == []
