from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.nar.differ import Comparison, DiffLimits, compare
from ec_closure.nar.reader import read
from ec_closure.nar.tree import Dir, File, Link, Tree, write_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

names = st.binary(min_size=1, max_size=3).filter(lambda name: name not in (b".", b"..") and not set(name) & {0, 47})
leaves = st.one_of(
    st.builds(File, st.binary(max_size=40), st.booleans()),
    st.builds(Link, st.binary(min_size=1, max_size=5).filter(lambda target: 0 not in target)),
)
trees = st.recursive(leaves, lambda below: st.builds(Dir, st.dictionaries(names, below, max_size=4)), max_leaves=12)


def diff(left: Tree, right: Tree, limits: DiffLimits = DiffLimits()) -> Comparison:  # noqa: B008 - immutable
    """Compare two trees."""
    return compare(*(read(io.BytesIO(write_tree(tree))) for tree in (left, right)), limits)


def told(left: Tree, right: Tree) -> list[tuple[str, str]]:
    """Return path and kind of each difference."""
    return [(one.path, one.kind) for one in diff(left, right).differences]


@given(trees)
def test_a_tree_does_not_differ_from_itself(tree: Tree) -> None:
    """Whatever is in it."""
    assert Comparison((), 0, complete=True) == diff(tree, tree)


@given(trees, trees)
def test_trees_differ_if_and_only_if_their_archives_do(left: Tree, right: Tree) -> None:
    """And what is only left one way is only right the other."""
    one, other = diff(left, right), diff(right, left)

    assert (write_tree(left) == write_tree(right)) == (one.count == 0)
    swap = {"only left": "only right", "only right": "only left"}
    assert [(a.path, swap.get(a.kind, a.kind)) for a in one.differences] == [
        (a.path, a.kind) for a in other.differences
    ]


def test_each_kind_of_difference_is_named_with_its_path() -> None:
    """Added, removed, another type, execute bit, target, contents: in the order of names."""
    left: Mapping[bytes, Tree] = {
        b"bin": Dir({b"tool": File(b"a", executable=True)}),
        b"gone": Dir({b"x": File(b"")}),
        b"link": Link(b"a"),
        b"text": File(b"a\nb\nc\n"),
        b"type": File(b"a"),
    }
    right: Mapping[bytes, Tree] = {
        b"bin": Dir({b"tool": File(b"a")}),
        b"link": Link(b"b"),
        b"new": File(b"123"),
        b"text": File(b"a\nB\nc\n"),
        b"type": Dir({b"deep": Dir({b"x": File(b"y")})}),
    }

    assert [
        ("bin/tool", "executable"),
        ("gone", "only left"),
        ("link", "target"),
        ("new", "only right"),
        ("text", "contents"),
        ("type", "type"),
    ] == told(Dir(left), Dir(right))
    assert [(".", "type")] == told(File(b""), Dir({}))


def test_the_first_differing_byte_is_shown_with_what_stands_around_it() -> None:
    """Offset, bytes and what they read; a large file is not held."""
    body = bytes(range(256)) * 4096
    changed = bytearray(body)
    changed[500_000] ^= 1

    (found,) = diff(File(body), File(bytes(changed))).differences

    assert (500_000, ()) == (found.offset, found.lines)
    assert found.left.startswith(f"{len(body)} bytes: 18 19 1a 1b 1c 1d 1e 1f 20 21")
    assert found.right.startswith(f"{len(body)} bytes: 18 19 1a 1b 1c 1d 1e 1f 21 21")
    assert "|........ !" in found.left


def test_a_file_that_goes_on_differs_where_the_other_ends() -> None:
    """Nothing stands there on one side."""
    (found,) = diff(File(b"same"), File(b"same and more")).differences

    assert (4, True) == (found.offset, found.right.endswith("|same and more|"))
    assert found.left.endswith("|same|")


def test_small_texts_are_told_line_by_line() -> None:
    """As `diff -u` does, with unprintable characters spelled out."""
    (found,) = diff(File(b"a\nb\nc\n"), File(b"a\nx\x1b[2J\nc\n")).differences

    assert ("@@ -1,3 +1,3 @@", " a", "-b", "+x\\x1b[2J", " c") == found.lines


@pytest.mark.parametrize("data", [b"\0", b"\xff", b"\n" * 1000, b"x" * 70_000])
def test_what_is_no_small_text_has_no_lines(data: bytes) -> None:
    """Binary, undecodable, many lines, large: difflib's time is bounded."""
    (found,) = diff(File(data), File(data + b"y")).differences

    assert () == found.lines


def test_limits_are_kept_and_said() -> None:
    """A million entries cost a count; contents end at a size."""
    many = diff(Dir({}), Dir({b"%05d" % number: File() for number in range(500)}), DiffLimits(entries=10))
    large = diff(Dir({b"a": File(b"x" * 9000)}), Dir({b"a": File(b"x" * 8999 + b"y")}), DiffLimits(size=100))

    assert (10, 500, True) == (len(many.differences), many.count, many.complete)
    assert not large.complete


def test_a_tree_that_is_thousands_deep_is_compared() -> None:
    """Depth is up to strangers."""
    left: Tree = File(b"a")
    right: Tree = File(b"b")
    for _ in range(5000):
        left, right = Dir({b"d": left}), Dir({b"d": right})

    (found,) = diff(left, right).differences

    assert ("contents", 5000) == (found.kind, found.path.count("d"))


def test_names_are_printable() -> None:
    """Whoever tampered chose them."""
    assert [("\\x1b[2J\\n\\xff", "only right")] == told(Dir({}), Dir({b"\x1b[2J\n\xff": File()}))
