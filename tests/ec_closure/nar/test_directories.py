from __future__ import annotations

import os
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from ec_closure.nar import remove
from ec_closure.nar.directories import KEEP_OPEN, OPEN_DIRECTORY, DirectoryStack
from ec_closure.nar.errors import TreeChangedError
from ec_closure.nar.restore import restore
from ec_closure.nar.tree import Dir, File, Link, Tree, write_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def nested(depth: int) -> Tree:
    """Return directories within directories, each with a file and a link."""
    tree: Tree = Dir()
    for _ in range(depth):
        tree = Dir({b"d": tree, b"file": File(b"x"), b"link": Link(b"/etc")})
    return tree


@pytest.fixture
def stack() -> Iterator[DirectoryStack]:
    """Give a stack that is closed in the end."""
    stack = DirectoryStack()
    yield stack
    stack.close()


def descend(stack: DirectoryStack, path: Path) -> None:
    """Go down into *path*, the root of the tree or the next directory below."""
    fd = os.open(path.name if stack else path, OPEN_DIRECTORY, dir_fd=stack.fd if stack else None)
    stack.push(fd, os.fstat(fd))


def test_the_way_back_up_leads_through_the_same_directories(scratch: Path, stack: DirectoryStack) -> None:
    """Also through those that were closed on the way down."""
    (scratch / "d").mkdir()
    path = scratch
    identities = []
    for _ in range(2 * KEEP_OPEN + 3):
        path /= "d"
        path.mkdir(exist_ok=True)
        descend(stack, path)
        identities.append(os.fstat(stack.fd).st_ino)

    while stack:
        assert identities.pop() == os.fstat(stack.fd).st_ino
        assert stack.pop()
    assert identities == []


def test_a_way_back_up_that_leads_elsewhere_is_reported(scratch: Path, stack: DirectoryStack) -> None:
    """The directory we came through was moved away: its ".." is now another."""
    path = scratch
    paths = []
    for _ in range(KEEP_OPEN + 3):
        path /= "d"
        path.mkdir()
        paths.append(path)
        descend(stack, path)
    (scratch / "other").mkdir()
    paths[2].rename(scratch / "other" / "d")

    while len(stack) > 3:
        assert stack.pop()
    assert not stack.pop()


def test_deep_read_only_trees_are_removed_and_links_not_followed(scratch: Path) -> None:
    """As far down as a tree may be, and only the tree."""
    (scratch / "kept").mkdir()
    (scratch / "kept" / "file").touch()
    restore(BytesIO(write_tree(nested(500))), scratch / "tree")
    (scratch / "tree").chmod(0o755)
    (scratch / "tree" / "outside").symlink_to(scratch / "kept")

    parent = os.open(scratch, OPEN_DIRECTORY)
    try:
        for name in (b"tree", b"kept"):
            before = {path.name for path in scratch.iterdir()}
            remove.remove_tree(parent, name)
            assert before - {name.decode()} == {path.name for path in scratch.iterdir()}
            assert name != b"tree" or (scratch / "kept" / "file").exists()
    finally:
        os.close(parent)


def test_removal_stops_when_a_directory_is_moved(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than go on in the tree that the way up now leads to."""
    restore(BytesIO(write_tree(nested(KEEP_OPEN + 3))), scratch / "tree")
    (scratch / "other").mkdir()
    (scratch / "other" / "precious").touch()
    path = scratch / "tree" / "d" / "d"
    bottom = KEEP_OPEN + 4
    entered = []
    real = remove._enter

    def enter(stack: DirectoryStack, parent: int, name: bytes) -> list[bytes]:
        directories = real(stack, parent, name)
        entered.append(name)
        if len(entered) == bottom:
            path.rename(scratch / "other" / "d")
        return directories

    monkeypatch.setattr(remove, "_enter", enter)
    parent = os.open(scratch, OPEN_DIRECTORY)
    try:
        with pytest.raises(TreeChangedError, match="moved"):
            remove.remove_tree(parent, b"tree")
    finally:
        os.close(parent)
    monkeypatch.undo()

    assert (scratch / "other" / "precious").exists()
    assert bottom == len(entered)
