"""NARs: what is accepted is the one archive of the tree that it holds, and so is what a slow stream gives."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, cast

from tests.fuzz.mutate import twist_pieces
from tests.fuzz.target import Target, hold

from ec_closure.nar import tokens
from ec_closure.nar.errors import NarError
from ec_closure.nar.reader import NarLimits, read
from ec_closure.nar.tree import Dir, File, Link, Tree, read_tree, write_tree

if TYPE_CHECKING:
    from random import Random

_NAMES = (b"a", b"a.b", b"a-b", b"A", b"aa", b"...", b"\xff", b"\n", b")", b"entry", b"x" * 255)
_TARGETS = (b"/", b"../x", b"\xff", b"a" * 4095)
_LIMITS = NarLimits(depth=100, entries=1000, size=1 << 20)
_WORDS = tuple(
    tokens.string(word)
    for word in (
        *(b"(", b")", b"type", b"regular", b"executable", b"", b"contents", b"symlink", b"target", b"directory"),
        *(b"entry", b"name", b"node", b".", b"..", b"a/b", b"a\0b", b"x" * 256, b"nix-archive-1", b"socket"),
    )
)


class _Dripping:
    """A stream that gives a few bytes at a time, as pipes and sockets may."""

    def __init__(self, data: bytes) -> None:
        self._stream = BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, 3))


def _read(data: bytes) -> None:
    tree = read_tree(BytesIO(data), _LIMITS)
    hold(write_tree(tree) == data, "accepted, but not the archive of its tree")
    if len(data) < 1000:
        hold(
            read_tree(cast("BinaryIO", _Dripping(data)), _LIMITS) == tree,
            "read otherwise when it comes in small pieces",
        )
    if len(data) < 300:
        for end in range(0, len(data), 8):
            try:
                list(read(BytesIO(data[:end]), _LIMITS))
            except NarError:
                continue
            hold(condition=False, what=f"accepted when cut off after {end} bytes")


def _leaf(random: Random) -> Tree:
    if random.random() < 0.3:
        return Link(random.choice(_TARGETS))
    return File(random.randbytes(random.choice((0, 1, 7, 8, 9, 63))), random.random() < 0.5)


def _make(random: Random) -> bytes:
    if random.random() < 0.2:
        return write_tree(_leaf(random))
    root: dict[bytes, Tree] = {}
    here = root
    for name in random.sample(_NAMES, random.randrange(5)):
        if random.random() < 0.4:
            below: dict[bytes, Tree] = {}
            here[name] = Dir(below)
            here = random.choice((below, root))
        else:
            here[name] = _leaf(random)
    return write_tree(Dir(root))


def _twist(random: Random, data: bytes) -> bytes:
    pieces, at = [], 0
    while at + 8 <= len(data) and len(pieces) < 500:
        length = int.from_bytes(data[at : at + 8], "little")
        end = at + 8 + length + -length % 8
        pieces.append(data[at:end])
        at = end
    return b"".join(twist_pieces(random, pieces, _WORDS)) + data[at:]


NAR = Target("nar", _read, _make, _twist, (NarError,), _WORDS)
