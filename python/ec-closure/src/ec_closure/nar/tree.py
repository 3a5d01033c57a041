"""Small trees in memory: to write archives of what never was on disk, and to see archives as values.

For tests and for the trees that a verifier plants to test itself. Real trees go through `ec_closure.nar.dump`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from ec_closure.nar import reader, tokens
from ec_closure.nar.errors import NarError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class File:
    """A regular file."""

    contents: bytes = b""
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A symlink."""

    target: bytes


@dataclass(frozen=True, slots=True)
class Dir:
    """A directory. The order of *entries* does not matter."""

    entries: Mapping[bytes, Tree] = field(default_factory=dict)


Tree: TypeAlias = File | Link | Dir


def write_tree(tree: Tree) -> bytes:
    """Return the NAR of *tree*. Raises `NarError` for names and targets that no archive may hold."""
    parts = [tokens.MAGIC]
    todo: list[Tree | bytes] = [tree]  # what is still to be written, last first
    while todo:
        match todo.pop():
            case File(contents, executable):
                parts += [tokens.REGULAR_EXECUTABLE if executable else tokens.REGULAR, tokens.string(contents)]
                parts.append(tokens.CLOSE)
            case Link(target):
                if not target or b"\0" in target or len(target) > tokens.MAX_TARGET:
                    raise NarError("a symlink's target is empty, too long or has a NUL")
                parts += [tokens.SYMLINK, tokens.string(target), tokens.CLOSE]
            case Dir(entries):
                parts.append(tokens.DIRECTORY)
                todo.append(tokens.CLOSE)
                for name in sorted(entries, reverse=True):
                    if not tokens.is_name(name):
                        raise NarError(f"{name[:40]!r} is no name for an entry")
                    todo += [tokens.CLOSE, entries[name], tokens.ENTRY + tokens.string(name) + tokens.NODE]
            case done:
                parts.append(done)
    return b"".join(parts)


def read_tree(stream: BinaryIO, limits: reader.NarLimits = reader.DEFAULT_LIMITS) -> Tree:
    """Return the tree in the NAR that *stream* holds, all of it in memory. Raises as `reader.read` does."""
    top: dict[bytes, Tree] = {}
    above: list[dict[bytes, Tree]] = []
    here, name = top, b""
    executable, missing = False, 0
    chunks: list[bytes] = []
    for event in reader.read(stream, limits):
        match event:
            case reader.DirectoryOpen():
                inner: dict[bytes, Tree] = {}
                here[name] = Dir(inner)
                above.append(here)
                here = inner
            case reader.DirectoryClose():
                here = above.pop()
            case reader.Entry(name):
                pass
            case reader.Symlink(target):
                here[name] = Link(target)
            case reader.Regular(executable, missing):
                chunks = []
                here[name] = File(b"", executable)
            case reader.Chunk(data):
                chunks.append(data)
                missing -= len(data)
                if not missing:
                    here[name] = File(b"".join(chunks), executable)
    return top[b""]
