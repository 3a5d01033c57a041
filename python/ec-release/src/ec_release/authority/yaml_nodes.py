"""YAML as a runner of workflows reads it, with the line of every node. Pure.

Read from PyYAML's events, so that nothing recurses on the input. Every scalar stays the text that was written: in
workflows `on` is a key and `true` a word, until an expression asks.

Refused: tags of one's own, keys that stand twice, keys that are no scalar, several documents, and more than the limits
below. `<<` merges, as Forgejo's runner does; what is written beside it comes first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import yaml

from ec_closure.decoding import excerpt
from ec_release.authority.errors import YamlError, YamlLimitError

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 50_000
"""How many nodes a document has once its aliases are followed."""
MAX_ALIASES = 1000

_CORE = "tag:yaml.org,2002:"
_TAGS = frozenset(f"{_CORE}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_MERGE = "<<"


@dataclass(frozen=True)
class Scalar:
    """A text. *block* tells that it is written over several lines, the first of which is the one after *line*."""

    text: str
    line: int
    block: bool = False
    plain: bool = False
    size: int = 1


@dataclass(frozen=True)
class Mapping:
    """Nodes by key, in the order of the document; *lines* says where each key stands."""

    items: dict[str, Node]
    lines: dict[str, int]
    line: int
    size: int = 1

    def get(self, key: str) -> Node | None:
        """Return what *key* stands for, or nothing."""
        return self.items.get(key)

    def mapping(self, key: str) -> Mapping:
        """Return the mapping at *key*: an empty one where there is none."""
        node = self.items.get(key)
        return node if isinstance(node, Mapping) else Mapping({}, {}, self.lines.get(key, self.line))

    def sequence(self, key: str) -> tuple[Node, ...]:
        """Return the list at *key*; a single node counts as a list of one, as GitHub takes it."""
        node = self.items.get(key)
        if node is None:
            return ()
        return node.items if isinstance(node, Sequence) else (node,)

    def text(self, key: str) -> str | None:
        """Return the text at *key*, or nothing where there is none, or no scalar."""
        node = self.items.get(key)
        return node.text if isinstance(node, Scalar) else None


@dataclass(frozen=True)
class Sequence:
    """A list of nodes."""

    items: tuple[Node, ...]
    line: int
    size: int = 1


Node: TypeAlias = Scalar | Mapping | Sequence


@dataclass
class _Open:
    """A collection that is being read. *key* is the key whose value comes next."""

    mapping: bool
    line: int
    anchor: str | None
    items: dict[str, Node] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    merged: list[Mapping] = field(default_factory=list)
    entries: list[Node] = field(default_factory=list)
    key: str | None = None
    size: int = 1


def read(data: bytes, *, what: str) -> Node:
    """Return the one document of *data*. Raises `YamlError` and `YamlLimitError`, with the line."""
    if len(data) > MAX_BYTES:
        raise YamlLimitError(f"more than the {MAX_BYTES} bytes that are accepted", place=what)
    try:
        return _Reader(what).document(data.decode())
    except UnicodeDecodeError as error:
        raise YamlError("is not UTF-8", place=what) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = excerpt(str(getattr(error, "problem", None) or getattr(error, "reason", None) or "is no YAML"))
        raise YamlError(problem, place=f"{what}:{mark.line + 1}" if mark else what) from error
    except (ValueError, RecursionError) as error:
        # Numbers in escapes that no character has
        raise YamlError(excerpt(str(error)), place=what) from error


class _Reader:
    """Puts events together. One for each document."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.open: list[_Open] = []
        self.anchors: dict[str, Node] = {}
        self.aliases = 0
        self.root: Node | None = None

    def document(self, text: str) -> Node:
        """Return the document of *text*."""
        documents = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            line = event.start_mark.line + 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.error("a second document begins", line)
            elif isinstance(event, yaml.AliasEvent):
                self.alias(str(event.anchor), line)
            elif isinstance(event, yaml.ScalarEvent):
                self.tag(event.tag, line)
                self.scalar(event, line)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                self.tag(event.tag, line)
                self.begin(event, line)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.end()
        if self.root is None:
            raise YamlError("is empty", place=self.what)
        return self.root

    def error(self, message: str, line: int) -> YamlError:
        return YamlError(message, place=f"{self.what}:{line}")

    def tag(self, tag: str | None, line: int) -> None:
        if tag is not None and tag != "!" and tag not in _TAGS:
            raise self.error(f"the tag {excerpt(tag, 60)} is not accepted", line)

    def alias(self, name: str, line: int) -> None:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise YamlLimitError(f"more than {MAX_ALIASES} aliases", place=f"{self.what}:{line}")
        if name not in self.anchors:
            raise self.error(f"nothing before it is called &{excerpt(name, 60)}", line)
        self.add(self.anchors[name], line)

    def scalar(self, event: yaml.ScalarEvent, line: int) -> None:
        node = Scalar(event.value, line, block=event.style in ("|", ">"), plain=event.style is None)
        self.name(event.anchor, node)
        self.add(node, line)

    def begin(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent, line: int) -> None:
        parent = self.open[-1] if self.open else None
        if parent is not None and parent.mapping and parent.key is None:
            raise self.error("a key is no plain text", line)
        if len(self.open) >= MAX_DEPTH:
            raise YamlLimitError(f"nested deeper than {MAX_DEPTH}", place=f"{self.what}:{line}")
        self.open.append(_Open(isinstance(event, yaml.MappingStartEvent), line, event.anchor))

    def end(self) -> None:
        done = self.open.pop()
        node: Node
        if done.mapping:
            for merged in done.merged:
                for key, value in merged.items.items():
                    if key not in done.items:
                        done.items[key], done.lines[key] = value, merged.lines[key]
            node = Mapping(done.items, done.lines, done.line, done.size)
        else:
            node = Sequence(tuple(done.entries), done.line, done.size)
        self.name(done.anchor, node)
        self.add(node, done.line)

    def name(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self.anchors[anchor] = node

    def add(self, node: Node, line: int) -> None:
        """Put *node* where it belongs: it is a key, a value, an entry, or all there is."""
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.size += node.size
        if parent.size > MAX_NODES:
            raise YamlLimitError(f"more than {MAX_NODES} nodes once aliases are followed", place=f"{self.what}:{line}")
        if not parent.mapping:
            parent.entries.append(node)
        elif parent.key is None:
            self.key(parent, node, line)
        else:
            self.value(parent, parent.key, node, line)
            parent.key = None

    def key(self, parent: _Open, node: Node, line: int) -> None:
        if not isinstance(node, Scalar):
            raise self.error("a key is no plain text", line)
        if node.text in parent.lines:
            raise self.error(f"the key {excerpt(node.text, 60)} stands twice", line)
        parent.key = node.text
        parent.lines[node.text] = line

    def value(self, parent: _Open, key: str, node: Node, line: int) -> None:
        if key != _MERGE:
            parent.items[key] = node
            return
        for one in node.items if isinstance(node, Sequence) else (node,):
            if not isinstance(one, Mapping):
                raise self.error("what is merged is no mapping", line)
            parent.merged.append(one)
