"""Fingerprints: every change moves them, and both ways to take one agree."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.nar.hash import hash_path
from ec_verify.scan import fingerprint as fingerprints
from ec_verify.scan.fingerprint import Fingerprint, Gatherer, fingerprint
from ec_verify.scan.path import PathTask, look

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Give a tree with one of everything."""
    root = tmp_path / "tree"
    (root / "bin" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "bin" / "tool").write_bytes(b"bytes")
    (root / "bin" / "deep" / os.fsdecode(b"\xff\n")).write_bytes(b"odd name")
    (root / "link").symlink_to("bin/tool")
    return root


def gathered(root: Path) -> Fingerprint | None:
    """Return the fingerprint that the hashing pass takes."""
    gatherer = Gatherer()
    hash_path(root, gatherer.beside(None))
    return gatherer.finish()


def test_the_hashing_pass_and_the_walk_agree(tree: Path) -> None:
    """What is remembered by one is recognised by the other."""
    seen = fingerprint(str(tree))

    assert seen is not None
    assert gathered(tree) == seen
    assert 7 == seen.entries
    assert max(one.lstat().st_ctime_ns for one in (tree, *tree.rglob("*"))) == seen.newest


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_path_may_be_a_file_or_a_link(tmp_path: Path, kind: str) -> None:
    """Not every store path is a directory, and a link is not followed."""
    root = tmp_path / "root"
    if kind == "file":
        root.write_bytes(b"bytes")
    else:
        root.symlink_to("/nowhere")

    assert gathered(root) == fingerprint(str(root))
    assert (seen := fingerprint(str(root))) is not None
    assert 1 == seen.entries


def overwrite_in_place(tree: Path) -> None:
    """Change one byte and put the time stamp back."""
    file = tree / "bin" / "tool"
    before = file.stat()
    with file.open("r+b") as opened:
        opened.write(b"B")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_with_copy(tree: Path) -> None:
    """Put a file of the same bytes and times in a file's place."""
    file = tree / "bin" / "tool"
    before = file.stat()
    other = tree / "bin" / "other"
    other.write_bytes(file.read_bytes())
    other.replace(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def retarget(tree: Path) -> None:
    """Point the link elsewhere."""
    (tree / "link").unlink()
    (tree / "link").symlink_to("bin/fool")


def link_elsewhere(tree: Path) -> None:
    """Let a second name lead to a file: who has it can write to the file."""
    (tree.parent / "elsewhere").unlink(missing_ok=True)
    (tree.parent / "elsewhere").hardlink_to(tree / "bin" / "tool")


CHANGES: dict[str, Callable[[Path], object]] = {
    "byte": overwrite_in_place,
    "replaced": replace_with_copy,
    "link": retarget,
    "mode": lambda tree: (tree / "bin" / "tool").chmod(0o4755),
    "same mode again": lambda tree: (tree / "bin" / "tool").chmod((tree / "bin" / "tool").stat().st_mode),
    "mode of a directory": lambda tree: (tree / "empty").chmod(0o700),
    "time": lambda tree: os.utime(tree / "bin" / "tool", ns=(1, 1)),
    "added": lambda tree: (tree / "empty" / "new").touch(),
    "removed": lambda tree: (tree / "link").unlink(missing_ok=True),
    "renamed": lambda tree: (tree / "link").rename(tree / "knil"),
    "hard link elsewhere": link_elsewhere,
    "attribute": lambda tree: os.setxattr(tree / "bin" / "tool", "user.note", b"x"),
    "moved away and back": lambda tree: (tree.rename(tree.parent / "away"), (tree.parent / "away").rename(tree)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_kind_of_change_moves_it(tree: Path, change: str) -> None:
    """Also those that leave size and time stamp as they were, and those that leave the bytes."""
    before = fingerprint(str(tree))

    # Change times have the kernel's tick: a change within the same one is the business of `memory.choose.settled`.
    CHANGES[change](tree)
    while fingerprint(str(tree)) == before:
        CHANGES[change](tree)

    assert None is not before
    assert fingerprint(str(tree)) != before


@pytest.mark.root
def test_an_owner_moves_it(tree: Path) -> None:
    """A file that belongs to somebody else is another one."""
    before = fingerprint(str(tree))

    os.chown(tree / "bin" / "tool", 12345, 12345)

    assert fingerprint(str(tree)) != before


def test_two_entries_may_not_trade_places(tree: Path) -> None:
    """The digest is over places, too: equal sets of inodes are not enough."""
    (tree / "bin" / "other").write_bytes(b"other")
    before = fingerprint(str(tree))
    (tree / "bin" / "tool").rename(tree / "bin" / "x")
    (tree / "bin" / "other").rename(tree / "bin" / "tool")
    (tree / "bin" / "x").rename(tree / "bin" / "other")

    assert fingerprint(str(tree)) != before


def test_what_is_not_there_has_none(tmp_path: Path) -> None:
    """Then the path is looked at, which says what is wrong."""
    assert None is fingerprint(str(tmp_path / "none"))


def test_times_that_no_record_holds_give_none(tree: Path) -> None:
    """File systems can hold years beyond 2262; such a path is read every time, and hashed all the same."""
    os.utime(tree / "bin" / "tool", (10_000_000_000, 10_000_000_000))

    assert None is fingerprint(str(tree))
    assert None is gathered(tree)


def test_too_many_entries_give_none(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a fingerprint takes of memory is bounded."""
    monkeypatch.setattr(fingerprints, "MAX_ENTRIES", 3)

    assert None is fingerprint(str(tree))
    assert None is gathered(tree)


def test_looking_takes_it_only_when_asked(tree: Path) -> None:
    """The rebuild's looks and the self-test need none."""
    task = PathTask(path="/nix/store/x", physical=str(tree), store_dir="/nix/store")

    assert None is look(task).fingerprint
    assert fingerprint(str(tree)) == look(PathTask(**{**_fields(task), "remember": True})).fingerprint


def _fields(task: PathTask) -> dict[str, object]:
    return {name: getattr(task, name) for name in task.__slots__}


RECORDS = st.lists(
    st.builds(
        bytes.__add__, st.binary(min_size=52, max_size=52), st.sampled_from([b"", b"a", b"b", b"ab", b"a/b", b"\xff"])
    ),
    max_size=4,
)


@given(RECORDS, RECORDS)
def test_records_cannot_run_into_one_another(one: list[bytes], other: list[bytes]) -> None:
    """Two sets of entries have one digest only when they are the same, in whatever order they came."""
    same = sorted(one) == sorted(other)

    assert same is (fingerprints._digest(one, 0).digest == fingerprints._digest(other, 0).digest)
