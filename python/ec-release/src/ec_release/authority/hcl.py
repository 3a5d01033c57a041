"""OpenTofu's files, with the line of every attribute and text. Pure.

python-hcl2 parses; what is kept of its tree are attributes by the blocks they are in, and every text. Expressions are
not evaluated: a text with an interpolation keeps it as `${…}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_release.authority.errors import HclError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lark import Tree

MAX_BYTES = 1 << 19
MAX_DEPTH = 100
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True)
class Attribute:
    """One `name = value`. *blocks* are the headings around it, outermost first: `variable image`, `validation`.

    *value* is the source of the value on one line; *literal* is the text where it is one without interpolation.
    """

    blocks: tuple[str, ...]
    name: str
    value: str
    line: int
    literal: str | None


@dataclass(frozen=True)
class Text:
    """One text between quotes, or a here document, wherever it stands."""

    text: str
    line: int


@dataclass(frozen=True)
class Document:
    """One file. *headings* are its outermost blocks with their lines."""

    attributes: tuple[Attribute, ...]
    texts: tuple[Text, ...]
    headings: tuple[tuple[str, int], ...]


def read(data: bytes, *, what: str) -> Document:
    """Return what a file holds. Raises `HclError`."""
    from hcl2.api import parses
    from lark.exceptions import LarkError

    if len(data) > MAX_BYTES:
        raise HclError(f"more than the {MAX_BYTES} bytes that are accepted", place=what)
    try:
        source = data.decode()
    except UnicodeDecodeError as error:
        raise HclError("is not UTF-8", place=what) from error
    if _depth(source) > MAX_DEPTH:
        raise HclError(f"nested deeper than {MAX_DEPTH}", place=what)
    try:
        tree = parses(source if source.endswith("\n") else f"{source}\n")
    except (LarkError, RecursionError) as error:
        line = getattr(error, "line", None)
        place = f"{what}:{line}" if isinstance(line, int) and line > 0 else what
        raise HclError(excerpt(f"cannot be read: {str(error).partition(chr(10))[0]}"), place=place) from error
    return _Reader(source, tree).document()


def _depth(source: str) -> int:
    """Return how deep brackets are nested at most; those in texts count as well."""
    depth = deepest = 0
    for one in source:
        if one in _OPENING:
            depth += 1
            deepest = max(deepest, depth)
        elif one in _CLOSING:
            depth -= 1
    return deepest


class _Reader:
    """Collects from one tree, with a stack of its own."""

    def __init__(self, source: str, tree: Tree[str]) -> None:
        self.source, self.tree = source, tree
        self.attributes: list[Attribute] = []
        self.texts: list[Text] = []
        self.headings: list[tuple[str, int]] = []

    def document(self) -> Document:
        pending: list[tuple[Tree[str], tuple[str, ...]]] = [(self.tree, ())]
        while pending:
            node, blocks = pending.pop()
            kind = str(node.data)
            if kind == "block":
                heading = " ".join(self.words(node))
                if not blocks:
                    self.headings.append((heading, int(node.meta.line)))
                blocks = (*blocks, heading)
            elif kind == "attribute":
                self.attribute(node, blocks)
            elif kind == "string" or kind.startswith("heredoc"):
                text = self.text(node)
                self.texts.append(Text(text[1:-1] if kind == "string" else text, int(node.meta.line)))
            pending += [(child, blocks) for child in reversed(node.children) if hasattr(child, "data")]  # type: ignore[misc]
        return Document(
            tuple(sorted(self.attributes, key=lambda one: one.line)),
            tuple(sorted(self.texts, key=lambda one: one.line)),
            tuple(self.headings),
        )

    def words(self, block: Tree[str]) -> Iterator[str]:
        for child in block.children:
            kind = str(getattr(child, "data", ""))
            if kind in ("identifier", "string"):
                yield self.text(child).strip('"')  # type: ignore[arg-type]

    def text(self, node: Tree[str]) -> str:
        """Return the source of a node."""
        return self.source[node.meta.start_pos : node.meta.end_pos]

    def attribute(self, node: Tree[str], blocks: tuple[str, ...]) -> None:
        name, _, value = self.text(node).partition("=")
        value = " ".join(value.split())
        literal = re.fullmatch(r'"((?:[^"\\$%]|\\.|[$%](?!\{))*)"', value)
        self.attributes.append(
            Attribute(blocks, name.strip(), value, int(node.meta.line), literal[1] if literal else None)
        )
