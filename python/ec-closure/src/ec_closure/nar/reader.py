"""Reading NARs from strangers.

Every archive that is accepted here is one that Nix writes: for each tree there is exactly one. Whatever differs by a
token, a padding byte or the order of two names is refused with the offset where it does (pitfalls P46, P47).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, TypeAlias

from ec_closure.nar import tokens
from ec_closure.nar.errors import NarError, NarLimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 256 * 1024
_OPEN_AND_NAME: Final = tokens.string(b"(") + tokens.string(b"name")
_NO_VALUE_THEN_CONTENTS: Final = tokens.string(b"") + tokens.CONTENTS


@dataclass(frozen=True, slots=True)
class NarLimits:
    """How much is accepted: nested directories, entries altogether, and bytes of the whole archive."""

    depth: int = 10_000
    entries: int = 10_000_000
    size: int = 1 << 40


@dataclass(frozen=True, slots=True)
class DirectoryOpen:
    """A directory begins; its entries follow."""


@dataclass(frozen=True, slots=True)
class DirectoryClose:
    """The innermost open directory ends."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The next entry of the innermost open directory; its node follows. The name is safe to use as one."""

    name: bytes


@dataclass(frozen=True, slots=True)
class Regular:
    """A file of *size* bytes, which follow in chunks."""

    executable: bool
    size: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes of the file that was announced last, never none."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symlink; *target* is verbatim and may point anywhere."""

    target: bytes


Event: TypeAlias = DirectoryOpen | DirectoryClose | Entry | Regular | Chunk | Symlink

DEFAULT_LIMITS: Final = NarLimits()


def read(stream: BinaryIO, limits: NarLimits = DEFAULT_LIMITS) -> Iterator[Event]:
    """Yield what is in the NAR that *stream* holds, to its end; memory use does not depend on what it claims to hold.

    Raises `NarError` for anything that Nix would not have written (names out of order, twice, or ``.``, ``..``, empty,
    longer than 255 or with ``/`` or NUL; targets longer than 4,095; non-zero padding; truncation; trailing bytes) and
    `NarLimitError` beyond *limits*. Events before the error were part of no valid archive: keep nothing of them. What
    reading *stream* raises passes through. Not checked: any hash.
    """
    source = _Source(stream, limits.size)
    source.expect(tokens.MAGIC)
    latest: list[bytes] = []  # the latest name in each open directory; every name is greater than the empty one
    entries = 0
    while True:
        source.expect(tokens.TYPE)
        kind = source.string(9)
        if kind == b"directory":
            if len(latest) >= limits.depth:
                raise NarLimitError(f"more than {limits.depth} directories deep", place=source.place)
            latest.append(b"")
            yield DirectoryOpen()
        else:
            yield from _leaf(source, kind)
            source.expect(tokens.CLOSE)
            if latest:
                source.expect(tokens.CLOSE)
        yield from _directory_ends(source, latest)
        if not latest:
            source.expect_end()
            return
        entries += 1
        if entries > limits.entries:
            raise NarLimitError(f"more than {limits.entries} entries", place=source.place)
        latest[-1] = name = _name(source, latest[-1])
        yield Entry(name)


def _directory_ends(source: _Source, latest: list[bytes]) -> Iterator[Event]:
    """Read the ends of directories, up to the next entry or the end of the root."""
    while latest:
        token = source.string(5)
        if token == b"entry":
            return
        if token != b")":
            raise NarError(f"{token!r} where an entry or the end of a directory belongs", place=source.place)
        latest.pop()
        yield DirectoryClose()
        if latest:
            source.expect(tokens.CLOSE)


def _leaf(source: _Source, kind: bytes) -> Iterator[Event]:
    if kind == b"symlink":
        source.expect(tokens.TARGET)
        target = source.string(tokens.MAX_TARGET)
        if not target or b"\0" in target:
            raise NarError("a symlink's target is empty or has a NUL", place=source.place)
        yield Symlink(target)
        return
    if kind != b"regular":
        raise NarError(f"{kind!r} is no type of file", place=source.place)
    token = source.string(10)
    if token == b"executable":
        source.expect(_NO_VALUE_THEN_CONTENTS)
    elif token != b"contents":
        raise NarError(f"{token!r} where a file's contents belong", place=source.place)
    size = source.length()
    source.reserve(size)
    yield Regular(token == b"executable", size)
    remaining = size
    while remaining:
        data = source.some(remaining)
        remaining -= len(data)
        yield Chunk(data)
    source.padding(size)


def _name(source: _Source, before: bytes) -> bytes:
    source.expect(_OPEN_AND_NAME)
    name = source.string(tokens.MAX_NAME)
    if not tokens.is_name(name):
        raise NarError(f"{name!r} is no name for an entry", place=source.place)
    if name <= before:
        problem = "appears twice" if name == before else f"comes after {before!r}"
        raise NarError(f"the entry {name!r} {problem}", place=source.place, hint="names are sorted by their bytes")
    source.expect(tokens.NODE)
    return name


class _Source:
    """A stream, read token by token, that knows its offset."""

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        self._read = stream.read
        self._limit = limit
        self._offset = 0

    @property
    def place(self) -> str:
        return f"offset {self._offset}"

    def some(self, most: int) -> bytes:
        """Return at least one and at most *most* bytes."""
        data = self._read(min(most, _CHUNK))
        if not data:
            raise NarError("the archive ends early", place=self.place)
        self._offset += len(data)
        return data

    def exactly(self, size: int) -> bytes:
        """Return *size* bytes; *size* is small."""
        data = self._read(size)
        self._offset += len(data)
        while len(data) < size:
            data += self.some(size - len(data))
        return data

    def reserve(self, size: int) -> None:
        """Refuse *size* bytes to come if the archive would get too large."""
        if self._offset + size > self._limit:
            raise NarLimitError(f"the archive is larger than {self._limit} bytes", place=self.place)

    def expect(self, expected: bytes) -> None:
        """Read the fixed *expected* bytes."""
        start = self._offset
        self.reserve(len(expected))
        if self.exactly(len(expected)) != expected:
            words = " ".join(repr(word.decode()) for word in tokens.words(expected))
            raise NarError(f"expected {words}", place=f"offset {start}")

    def length(self) -> int:
        """Read a string's length."""
        self.reserve(8)
        return int.from_bytes(self.exactly(8), "little")

    def string(self, most: int) -> bytes:
        """Read a string of at most *most* bytes."""
        length = self.length()
        if length > most:
            raise NarError(f"a string of {length} bytes where at most {most} are allowed", place=self.place)
        self.reserve(length + 7)
        data = self.exactly(length)
        self.padding(length)
        return data

    def padding(self, length: int) -> None:
        """Read the zeroes after a string of *length* bytes."""
        zeroes = tokens.PADDING[length & 7]
        if zeroes and self.exactly(len(zeroes)) != zeroes:
            raise NarError("the padding is not zero", place=self.place)

    def expect_end(self) -> None:
        if self._read(1):
            raise NarError("bytes follow the archive", place=self.place)
