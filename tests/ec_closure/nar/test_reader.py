from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.nar import tokens
from ec_closure.nar.errors import NarError, NarLimitError
from ec_closure.nar.reader import (
    Chunk,
    DirectoryClose,
    DirectoryOpen,
    Entry,
    NarLimits,
    Regular,
    Symlink,
    read,
)
from ec_closure.nar.tokens import CLOSE, CONTENTS, DIRECTORY, ENTRY, EXECUTABLE, MAGIC, NODE, REGULAR, SYMLINK, TYPE
from ec_closure.nar.tokens import string as s
from ec_closure.nar.tree import Dir, File, Link, Tree, read_tree, write_tree

if TYPE_CHECKING:
    from tests.conftest import NixStore

FILE = REGULAR + s(b"") + CLOSE


def entry(name: bytes, node: bytes = FILE) -> bytes:
    """Return one entry of a directory, well-formed but for what is in it."""
    return ENTRY + s(name) + NODE + node + CLOSE


def directory(*entries: bytes) -> bytes:
    """Return the archive of a directory."""
    return MAGIC + DIRECTORY + b"".join(entries) + CLOSE


def length(size: int) -> bytes:
    """Return the length of a string that does not follow."""
    return size.to_bytes(8, "little")


MALFORMED = {
    "nothing": ("ends early", b""),
    "other magic": ("expected", s(b"nix-archive-2") + FILE),
    "magic alone": ("ends early", MAGIC),
    "no parenthesis": ("expected", MAGIC + s(b"type") + s(b"regular") + CONTENTS + s(b"") + CLOSE),
    "no type": ("expected", MAGIC + s(b"(") + CLOSE),
    "unknown type": ("is no type", MAGIC + TYPE + s(b"socket") + CLOSE),
    "type twice": (
        "where a file's contents belong",
        MAGIC + TYPE + s(b"regular") + s(b"type") + s(b"regular") + CONTENTS + s(b"") + CLOSE,
    ),
    "file without contents": ("where a file's contents belong", MAGIC + TYPE + s(b"regular") + CLOSE),
    "contents twice": ("expected", MAGIC + REGULAR + s(b"") + CONTENTS + s(b"") + CLOSE),
    "executable after contents": ("expected", MAGIC + REGULAR + s(b"") + EXECUTABLE + CLOSE),
    "executable twice": (
        "expected",
        MAGIC + TYPE + s(b"regular") + EXECUTABLE + EXECUTABLE + CONTENTS + s(b"") + CLOSE,
    ),
    "executable with a value": (
        "expected",
        MAGIC + TYPE + s(b"regular") + s(b"executable") + s(b"x") + CONTENTS + s(b"") + CLOSE,
    ),
    "file not closed": ("ends early", MAGIC + REGULAR + s(b"")),
    "bytes after the root": ("bytes follow", MAGIC + FILE + b"\0"),
    "two roots": ("bytes follow", MAGIC + FILE + FILE),
    "symlink without target": ("expected", MAGIC + TYPE + s(b"symlink") + CLOSE),
    "empty target": ("symlink's target", MAGIC + SYMLINK + s(b"") + CLOSE),
    "target with NUL": ("symlink's target", MAGIC + SYMLINK + s(b"a\0b") + CLOSE),
    "target too long": ("at most", MAGIC + SYMLINK + s(b"x" * 4096) + CLOSE),
    "symlink with contents": ("expected", MAGIC + SYMLINK + s(b"x") + CONTENTS + s(b"") + CLOSE),
    "directory with contents": ("at most", MAGIC + DIRECTORY + CONTENTS + s(b"") + CLOSE),
    "directory not closed": ("ends early", MAGIC + DIRECTORY + entry(b"a")),
    "directory closed twice": ("bytes follow", directory() + CLOSE),
    "entry without name": ("expected", MAGIC + DIRECTORY + s(b"entry") + s(b"(") + NODE + FILE + CLOSE + CLOSE),
    "entry without node": ("expected", MAGIC + DIRECTORY + ENTRY + s(b"a") + CLOSE + CLOSE),
    "node before name": (
        "expected",
        MAGIC + DIRECTORY + s(b"entry") + s(b"(") + NODE + FILE + s(b"name") + s(b"a") + CLOSE + CLOSE,
    ),
    "entry not closed": ("ends early", MAGIC + DIRECTORY + ENTRY + s(b"a") + NODE + FILE + CLOSE),
    "entry below a file": ("expected", MAGIC + REGULAR + s(b"") + entry(b"a") + CLOSE),
    "entry below a symlink": ("expected", MAGIC + SYMLINK + s(b"/etc") + entry(b"passwd") + CLOSE),
    "names not sorted": ("comes after", directory(entry(b"b"), entry(b"a"))),
    "names sorted as text": (
        "comes after",
        directory(entry(b"\xef\xbf\xbd"), entry(b"\xf0\x9f\x98\x80"), entry(b"\xee\x80\x80")),
    ),
    "names sorted without case": ("comes after", directory(entry(b"a"), entry(b"B"))),
    "name twice": ("appears twice", directory(entry(b"a"), entry(b"a"))),
    "empty name": ("is no name", directory(entry(b""))),
    "name .": ("is no name", directory(entry(b"."))),
    "name ..": ("is no name", directory(entry(b".."))),
    "name with slash": ("is no name", directory(entry(b"a/b"))),
    "absolute name": ("is no name", directory(entry(b"/etc"))),
    "name with NUL": ("is no name", directory(entry(b"a\0b"))),
    "name too long": ("at most", directory(entry(b"x" * 256))),
    "file of 2^64-1 bytes": ("is larger than", MAGIC + REGULAR + length(2**64 - 1) + b"x" * 64),
    "file of 2^63 bytes": ("is larger than", MAGIC + REGULAR + length(2**63) + b"x" * 64),
    "file longer than the archive": ("ends early", MAGIC + REGULAR + length(2**39) + b"x" * 64),
    "name of 2^64-1 bytes": ("at most", MAGIC + DIRECTORY + ENTRY + length(2**64 - 1) + b"x" * 64),
    "target of 2^62 bytes": ("at most", MAGIC + SYMLINK + length(2**62) + b"x" * 64),
    "type of 2^62 bytes": ("at most", MAGIC + TYPE + length(2**62)),
    "contents padded with ones": ("padding is not zero", MAGIC + REGULAR + length(1) + b"x" + b"\1" * 7 + CLOSE),
    "contents not padded": ("padding is not zero", MAGIC + REGULAR + length(1) + b"x" + CLOSE),
    "name padded with ones": (
        "padding is not zero",
        MAGIC + DIRECTORY + ENTRY + length(1) + b"a" + b"\0" * 6 + b"\1" + NODE + FILE + CLOSE * 2,
    ),
    "token padded with ones": (
        "expected",
        MAGIC + length(1) + b"(" + b"\0\0\0\0\0\0\1" + (TYPE + s(b"regular"))[16:] + CLOSE,
    ),
    "big-endian": ("expected", (13).to_bytes(8, "big") + b"nix-archive-1\0\0\0" + FILE),
}


@pytest.mark.parametrize(("said", "archive"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_archive_is_refused(said: str, archive: bytes) -> None:
    """For its reason, with the offset, and without believing any length in it."""
    with pytest.raises(NarError, match=said) as caught:
        read_tree(BytesIO(archive))

    assert caught.value.place is not None
    assert caught.value.place.startswith("offset ")


def test_events_tell_the_tree_in_order() -> None:
    """Names before nodes, contents after their size, directories closed."""
    archive = write_tree(Dir({b"d": Dir(), b"f": File(b"abc", executable=True), b"l": Link(b"/x")}))

    assert [
        DirectoryOpen(),
        Entry(b"d"),
        DirectoryOpen(),
        DirectoryClose(),
        Entry(b"f"),
        Regular(executable=True, size=3),
        Chunk(b"abc"),
        Entry(b"l"),
        Symlink(b"/x"),
        DirectoryClose(),
    ] == list(read(BytesIO(archive)))


@given(st.data())
def test_reading_gives_back_what_was_written(trees: st.SearchStrategy[Tree], data: st.DataObject) -> None:
    """For any tree."""
    tree = data.draw(trees)

    assert tree == read_tree(BytesIO(write_tree(tree)))


@given(st.data())
def test_a_mutated_archive_is_refused_or_is_the_one_of_its_tree(
    trees: st.SearchStrategy[Tree], data: st.DataObject
) -> None:
    """However bytes are flipped, cut, doubled or inserted: what is accepted is what its own tree is written as."""
    archive = bytearray(write_tree(data.draw(trees)))
    for _ in range(data.draw(st.integers(1, 3))):
        # Most archives are lengths and padding: strike where 8-byte words begin as often as anywhere.
        at = data.draw(st.integers(0, len(archive)) | st.integers(0, len(archive) // 8).map(lambda word: word * 8))
        match data.draw(st.sampled_from(["set", "cut", "insert", "double", "swap"])):
            case "set":
                archive[at : at + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del archive[at : at + data.draw(st.sampled_from([1, 8, 16, len(archive)]))]
            case "insert":
                archive[at:at] = data.draw(st.sampled_from([b"\0", bytes(8), CLOSE, FILE, NODE, s(b"a"), s(b"..")]))
            case "double":
                archive[at:at] = archive[at : at + data.draw(st.sampled_from([8, 16, 32, 128]))]
            case _:
                archive[at : at + 32] = archive[at + 16 : at + 32] + archive[at : at + 16]
    try:
        tree = read_tree(BytesIO(archive))
    except NarError:
        return

    assert bytes(archive) == write_tree(tree)


@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic_are_an_archive_or_a_typed_error(data: bytes) -> None:
    """Strangers' bytes never raise anything but `NarError`."""
    try:
        tree = read_tree(BytesIO(MAGIC + data))
    except NarError:
        return

    assert MAGIC + data == write_tree(tree)


@given(st.data())
def test_every_truncation_is_noticed(trees: st.SearchStrategy[Tree], data: st.DataObject) -> None:
    """No beginning of an archive is an archive."""
    archive = write_tree(data.draw(trees))

    with pytest.raises(NarError):
        read_tree(BytesIO(archive[: data.draw(st.integers(0, len(archive) - 1))]))


class Trickle(BytesIO):
    """A stream that gives one byte at a time, as a pipe may."""

    def read(self, size: int | None = -1) -> bytes:
        """Give a byte."""
        return super().read(min(1, size or 0))


def test_a_slow_stream_gives_the_same_tree() -> None:
    """Short reads are no ends."""
    tree = Dir({b"a": File(b"x" * 100), b"b": Link(b"target"), b"c": Dir({b"d": File(executable=True)})})

    assert tree == read_tree(Trickle(write_tree(tree)))


class Endless:
    """A stream that begins as an archive and never ends."""

    def __init__(self, start: bytes, rest: bytes) -> None:
        self._start = BytesIO(start)
        self._rest = rest
        self._at = 0

    def read(self, size: int) -> bytes:
        """Give as many bytes as are wanted."""
        if start := self._start.read(size):
            return start
        at = self._at % len(self._rest)
        self._at += size
        return (self._rest * (size // len(self._rest) + 2))[at : at + size]


class TestLimits:
    """What is well-formed but too much."""

    def test_a_directory_too_deep(self) -> None:
        """Nesting costs 200 bytes a level: a small file holds more levels than any tree has."""
        tree: Tree = Dir()
        for _ in range(3):
            tree = Dir({b"d": tree})
        archive = write_tree(tree)

        assert tree == read_tree(BytesIO(archive), NarLimits(depth=4))
        with pytest.raises(NarLimitError, match="3 directories deep"):
            read_tree(BytesIO(archive), NarLimits(depth=3))

    def test_too_many_entries(self) -> None:
        """Counted over the whole archive."""
        archive = write_tree(Dir({b"a": Dir({b"b": File()}), b"c": File()}))

        assert isinstance(read_tree(BytesIO(archive), NarLimits(entries=3)), Dir)
        with pytest.raises(NarLimitError, match="2 entries"):
            read_tree(BytesIO(archive), NarLimits(entries=2))

    def test_too_many_bytes(self) -> None:
        """Refused when a file announces itself, before any of it is read."""
        archive = write_tree(File(bytes(1000)))

        assert File(bytes(1000)) == read_tree(BytesIO(archive), NarLimits(size=len(archive)))
        with pytest.raises(NarLimitError, match="1000 bytes") as caught:
            read_tree(BytesIO(archive), NarLimits(size=1000))
        assert f"offset {len(MAGIC + REGULAR) + 8}" == caught.value.place

    def test_an_archive_without_end(self) -> None:
        """Directories without end stop at the limit."""
        endless = Endless(MAGIC, DIRECTORY + ENTRY + s(b"a") + NODE)

        with pytest.raises(NarLimitError, match="deep"):
            list(read(cast("BinaryIO", endless)))

    def test_five_thousand_levels_need_no_recursion(self) -> None:
        """Neither to write nor to read."""
        tree: Tree = Dir()
        for _ in range(5000):
            tree = Dir({b"d": tree})
        archive = write_tree(tree)

        assert archive == write_tree(read_tree(BytesIO(archive)))


@pytest.mark.parametrize(
    "tree",
    [Dir({b"a/b": File()}), Dir({b"..": File()}), Dir({b"": File()}), Link(b""), Link(b"a\0"), Link(b"x" * 4096)],
)
def test_a_tree_that_no_archive_can_hold_is_not_written(tree: Tree) -> None:
    """Planted trees are checked like those of strangers."""
    with pytest.raises(NarError):
        write_tree(tree)


def test_padding_has_every_length() -> None:
    """Strings are padded to eight bytes, and not at all when they need not be."""
    for size in range(17):
        assert len(tokens.string(b"x" * size)) % 8 == 0
        assert len(tokens.string(b"x" * size)) - 8 - size < 8


@pytest.mark.nix
def test_nix_restores_what_we_write(nix_store: NixStore) -> None:
    """An archive of ours is an archive to Nix."""
    tree = Dir({b"a": File(b"x", executable=True), b"b": Dir({b"c": Link(b"../a")}), b"\xff": File(bytes(1000))})
    nix_store.run_bytes("nix-store", "--restore", "restored", stdin=write_tree(tree))

    assert write_tree(tree) == nix_store.run_bytes("nix-store", "--dump", "restored")
