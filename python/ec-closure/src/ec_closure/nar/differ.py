"""What differs between two trees, entry by entry, told from their archives: streaming, in bounded memory.

Both sides are events of `ec_closure.nar.reader`, so that each may be a tree on disk, a download or a rebuild. Names are
sorted in every archive, hence one pass over both is enough.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from ec_closure.nar.errors import printable
from ec_closure.nar.reader import Chunk, DirectoryClose, DirectoryOpen, Entry, Regular, Symlink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.nar.reader import Event

DifferenceKind = Literal["only left", "only right", "type", "executable", "target", "contents"]

_BEFORE: Final = 8
_CONTEXT: Final = 24
_TEXT: Final = 64 * 1024
_MAX_LINES: Final = 500  # a side; what difflib takes grows with their product
_SHOWN_LINES: Final = 40
_MAX_LINE: Final = 200


@dataclass(frozen=True, slots=True)
class DiffLimits:
    """How much is looked at: differing entries that are kept, and bytes of contents that are compared."""

    entries: int = 200
    size: int = 8 << 30


@dataclass(frozen=True, slots=True)
class Difference:
    """One entry that is not the same. *left* and *right* say what is on each side; all text is printable.

    *offset* is where contents first differ, in bytes, *lines* a unified diff of small texts.
    """

    path: str
    kind: DifferenceKind
    left: str = ""
    right: str = ""
    offset: int | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """All differences, or the first of them: *count* is how many were seen, *complete* whether all was compared."""

    differences: tuple[Difference, ...]
    count: int
    complete: bool


def compare(left: Iterator[Event], right: Iterator[Event], limits: DiffLimits = DiffLimits()) -> Comparison:  # noqa: B008 - immutable
    """Return what differs between two trees. Raises what the iterators raise.

    Not compared, since no archive holds it: modes beyond the execute bit, owners, times, attributes.
    """
    walk = _Walk(_Side(left), _Side(right), limits)
    walk.run()
    return Comparison(tuple(walk.found), walk.count, walk.complete)


class _Side:
    """The events of one side, one ahead."""

    def __init__(self, events: Iterator[Event]) -> None:
        self._events = events
        self.peek: Event | None = next(events, None)

    def take(self) -> Event | None:
        event, self.peek = self.peek, next(self._events, None)
        return event

    def chunk(self) -> bytes:
        """Return some bytes of the current file, none at its end."""
        if isinstance(self.peek, Chunk):
            data = self.peek.data
            self.take()
            return data
        return b""

    def skip(self) -> str:
        """Pass over one whole node and say what it is."""
        what = describe(self.peek)
        depth = 0
        while True:
            event = self.take()
            depth += isinstance(event, DirectoryOpen) - isinstance(event, DirectoryClose)
            if event is None or (depth == 0 and not isinstance(self.peek, Chunk)):
                return what


@dataclass
class _Walk:
    left: _Side
    right: _Side
    limits: DiffLimits
    found: list[Difference] = field(default_factory=list)
    count: int = 0
    compared: int = 0
    complete: bool = True

    def run(self) -> None:
        trail: list[bytes] = []  # directories that both sides are in; an explicit stack, for depth is up to strangers
        if not self._node(b""):
            return
        while self.complete:
            one, other = self.left.peek, self.right.peek
            here, there = (event.name if isinstance(event, Entry) else None for event in (one, other))
            if here is None and there is None:
                self.left.take()
                self.right.take()
                if not trail:
                    return
                trail.pop()
                continue
            name = min(found for found in (here, there) if found is not None)
            path = b"/".join([*trail, name])
            if here != name:
                self.right.take()
                self._add(path, "only right", right=self.right.skip())
            elif there != name:
                self.left.take()
                self._add(path, "only left", left=self.left.skip())
            else:
                self.left.take()
                self.right.take()
                if self._node(path):
                    trail.append(name)

    def _node(self, path: bytes) -> bool:
        """Compare one node; whether both are directories, which were entered."""
        one, other = self.left.peek, self.right.peek
        if isinstance(one, DirectoryOpen) and isinstance(other, DirectoryOpen):
            self.left.take()
            self.right.take()
            return True
        if isinstance(one, Symlink) and isinstance(other, Symlink):
            self.left.take()
            self.right.take()
            if one.target != other.target:
                self._add(path, "target", printable(one.target), printable(other.target))
        elif isinstance(one, Regular) and isinstance(other, Regular):
            self._files(path, one, other)
        else:
            self._add(path, "type", self.left.skip(), self.right.skip())
        return False

    def _files(self, path: bytes, one: Regular, other: Regular) -> None:
        self.left.take()
        self.right.take()
        if one.executable != other.executable:
            self._add(path, "executable", *(("yes", "no") if one.executable else ("no", "yes")))
        reading = _Contents(keep=max(one.size, other.size) <= _TEXT)
        while True:
            if not reading.left:
                reading.left = self.left.chunk()
            if not reading.right:
                reading.right = self.right.chunk()
            if not (reading.left or reading.right):
                break
            self.compared += reading.step()
            if self.compared > self.limits.size:
                self.complete = False
                break
        if reading.first is None and one.size == other.size:
            return
        offset = reading.first if reading.first is not None else min(one.size, other.size)
        self._add(
            path,
            "contents",
            f"{one.size} bytes: {_dump(reading.context[0])}",
            f"{other.size} bytes: {_dump(reading.context[1])}",
            offset,
            reading.text(),
        )

    def _add(
        self,
        path: bytes,
        kind: DifferenceKind,
        left: str = "",
        right: str = "",
        offset: int | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        self.count += 1
        if len(self.found) < self.limits.entries:
            self.found.append(Difference(printable(path) or ".", kind, left, right, offset, lines))


class _Contents:
    """Two files, read side by side: where they part, what stands there, and all of it if they are small."""

    def __init__(self, *, keep: bool) -> None:
        self.left = self.right = b""
        self.first: int | None = None
        self.context = (bytearray(), bytearray())
        self._kept = (bytearray(), bytearray()) if keep else None
        self._offset = 0
        self._before = b""

    def step(self) -> int:
        """Consume what both sides have, or the rest of the longer one; return the bytes consumed."""
        count = min(len(self.left), len(self.right)) or max(len(self.left), len(self.right))
        one, other = self.left[:count], self.right[:count]
        self.left, self.right = self.left[count:], self.right[count:]
        if self._kept is not None:
            self._kept[0].extend(one)
            self._kept[1].extend(other)
        if self.first is None and one != other:
            at = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
            at = at if one and other else 0
            self.first = self._offset + at
            before = (self._before + one[:at])[-_BEFORE:] if one and other else self._before
            for context in self.context:
                context.extend(before)
            self._collect(one[at:], other[at:])
        elif self.first is not None:
            self._collect(one, other)
        else:
            self._before = (self._before + one)[-_BEFORE:]
        self._offset += count
        return count

    def _collect(self, one: bytes, other: bytes) -> None:
        for context, data in zip(self.context, (one, other), strict=True):
            context.extend(data[: max(0, _CONTEXT - len(context))])

    def text(self) -> tuple[str, ...]:
        """Return a unified diff where both are small texts."""
        if self._kept is None or b"\0" in self._kept[0] or b"\0" in self._kept[1]:
            return ()
        try:
            one, other = (bytes(side).decode().split("\n") for side in self._kept)
        except UnicodeDecodeError:
            return ()
        if max(len(one), len(other)) > _MAX_LINES:
            return ()
        found = list(difflib.unified_diff(one, other, lineterm="", n=1))[2:]
        more = [f"… {len(found) - _SHOWN_LINES} more lines"] if len(found) > _SHOWN_LINES else []
        return tuple(printable(line.encode())[:_MAX_LINE] for line in found[:_SHOWN_LINES]) + tuple(more)


def describe(event: Event | None) -> str:
    """Say what node *event* begins."""
    match event:
        case DirectoryOpen():
            return "a directory"
        case Symlink(target):
            return f"a symlink to {printable(target)}"
        case Regular(executable, size):
            return f"{'an executable' if executable else 'a file'} of {size} bytes"
    return "nothing"


def _dump(data: bytearray) -> str:
    if not data:
        return "ends here"
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)  # noqa: PLR2004 - what ASCII prints
    return f"{data.hex(' ')}  |{text}|"
