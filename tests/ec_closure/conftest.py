"""What the tests of the formats share: generated trees, and a place for trees that are hard to remove."""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st

from ec_closure.nar.remove import remove_tree
from ec_closure.nar.tokens import is_name
from ec_closure.nar.tree import Dir, File, Link, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Names whose order, encoding or meaning has misled one archiver or another.
TRICKY_NAMES = (
    b"a",
    b"a.b",
    b"a-b",
    b"a b",
    b"A",
    b"B",
    b"aa",
    b"a~nix~case~hack~1",
    b"-rf",
    b"...",
    b".hidden",
    b"new\nline",
    b"\xff\xfe",
    b"\xc3\xa9",
    b"\xef\xbf\xbd",
    b"\xf0\x9f\x98\x80",
    b"\x01",
    b"entry",
    b")",
    b"x" * 255,
)
# Around the padding, the block sizes, and the size from which files are read piece by piece.
TRICKY_SIZES = (0, 1, 7, 8, 9, 15, 16, 4095, 4096, 131_071, 131_072, 131_073, 1_048_576, 1_048_577)

_names = (st.sampled_from(TRICKY_NAMES) | st.binary(min_size=1, max_size=9)).filter(is_name)
_targets = st.binary(min_size=1, max_size=40).filter(lambda target: b"\0" not in target)
_leaves = st.builds(File, st.binary(max_size=40), st.booleans()) | st.builds(Link, _targets)


@pytest.fixture(scope="session")
def trees() -> st.SearchStrategy[Tree]:
    """Give a strategy for small trees."""
    return st.recursive(
        _leaves, lambda inner: st.builds(Dir, st.dictionaries(_names, inner, max_size=5)), max_leaves=12
    )


@pytest.fixture(scope="session")
def random_tree() -> Callable[[int], Tree]:
    """Give a function that makes the tree of a number: much faster than drawing from a strategy."""

    def leaf(random: Random) -> Tree:
        if random.random() < 0.2:
            return Link(random.choice([b"../x", b"/", b"a" * 300, b"\xff", b"."]))
        size = random.choice(TRICKY_SIZES[:9]) if random.random() < 0.98 else random.choice(TRICKY_SIZES)
        return File(random.randbytes(size), random.random() < 0.3)

    def make(seed: int) -> Tree:
        random = Random(seed)  # noqa: S311 - reproducible, not secret
        root: dict[bytes, Tree] = {}
        if random.random() < 0.05:
            return leaf(random)
        here = root
        for name in random.sample(TRICKY_NAMES, random.randrange(len(TRICKY_NAMES) // 2)):
            if random.random() < 0.3:
                below: dict[bytes, Tree] = {}
                here[name] = Dir(below)
                here = random.choice([below, root, here])
            else:
                here[name] = leaf(random)
        return Dir(root)

    return make


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """Give a directory whose content is removed at once: pytest cannot remove trees that are thousands deep."""
    yield tmp_path
    parent = os.open(tmp_path.parent, os.O_RDONLY)
    try:
        remove_tree(parent, os.fsencode(tmp_path.name))
    finally:
        os.close(parent)
