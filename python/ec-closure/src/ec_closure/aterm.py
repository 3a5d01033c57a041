"""The notation of derivations: nested lists, groups and quoted strings.

Read strictly, so that each accepted file is the one spelling of what it says, and without recursion: nothing nests
deeper than the format does.
"""

from __future__ import annotations

import posixpath
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn, TypeVar

from ec_closure.decoding import excerpt
from ec_closure.errors import BadInputError, LimitError
from ec_closure.store_path import StorePath, StorePathError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

S = TypeVar("S", str, bytes)
T = TypeVar("T")

MAX_SIZE: Final = 64 * 1024 * 1024
"""Bytes in a file; the largest known ones are a few MiB."""
MAX_ITEMS: Final = 1_000_000
"""Items in one list."""

_DYNAMIC: Final = b"xp-dyn-drv"

# A string as Nix writes it: five characters are escaped, all other bytes stand for themselves.
# Possessive, so that no string, however hostile, makes the matching go back.
_STRING: Final = re.compile(rb'"((?:[^"\\\n\r\t]++|\\["\\nrt])*+)"')
_ESCAPED: Final = re.compile(rb'["\\\n\r\t]')
_TO_ESCAPE: Final = {b'"': rb"\"", b"\\": rb"\\", b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t"}


def _unescaped(raw: bytes) -> bytes:
    """Return what *raw* stands for, which `_STRING` matched: build scripts have very many escapes.

    Backslashes come in pairs from the left, so that no piece between escaped ones begins or ends inside an escape.
    """
    pieces = raw.split(rb"\\")
    for character, escape in _TO_ESCAPE.items():
        if character != b"\\":
            pieces = [piece.replace(escape, character) for piece in pieces]
    return b"\\".join(pieces)


class DerivationError(BadInputError):
    """Bytes are not a derivation as Nix writes it; the place is a byte offset."""

    code = "derivation"


class DerivationLimitError(DerivationError, LimitError):
    """A derivation is larger than is accepted."""

    code = "derivation-limit"


class UnsupportedDerivationError(DerivationError):
    """A derivation uses something experimental that is not understood here."""

    code = "derivation-unsupported"


class Reader:
    """A position in the bytes of a derivation. What reads raises `DerivationError` with the offset."""

    def __init__(self, data: bytes, store_dir: str | None) -> None:
        if len(data) > MAX_SIZE:
            raise DerivationLimitError(f"larger than {MAX_SIZE} bytes")
        self._data = data
        self._store_dir = store_dir
        self._at = 0

    @property
    def place(self) -> str:
        """Where the next byte is, for messages."""
        return f"offset {self._at}"

    def fail(self, message: str) -> NoReturn:
        """Raise the error for this place."""
        raise DerivationError(message, place=self.place)

    def at(self, token: bytes) -> bool:
        """Whether *token* comes next."""
        return self._data.startswith(token, self._at)

    def token(self, token: bytes) -> None:
        """Read the punctuation *token*."""
        if not self._data.startswith(token, self._at):
            found = self._data[self._at : self._at + 10]
            self.fail(f"expected {token.decode()!r}, found {found!r}" if found else "it ends early")
        self._at += len(token)

    def header(self) -> str:
        """Read up to the first field and return the version that the file names, if any."""
        if not self.at(b"DrvWithVersion("):
            self.token(b"Derive(")
            return ""
        self.token(b"DrvWithVersion(")
        version = self.string()
        if version != _DYNAMIC:
            raise UnsupportedDerivationError(f"unknown version {version[:40]!r}", place=self.place)
        self.token(b",")
        return version.decode()

    def end(self) -> None:
        """Refuse anything that follows."""
        if self._at != len(self._data):
            self.fail("something follows the derivation")

    def string(self) -> bytes:
        """Read a string."""
        match = _STRING.match(self._data, self._at)
        if match is None:
            self.fail("expected a string as Nix writes it")
        self._at = match.end()
        raw = match[1]
        return _unescaped(raw) if b"\\" in raw else raw

    def text(self) -> str:
        """Read a string that is ASCII."""
        value = self.string()
        if not value.isascii():
            self.fail("a name has characters other than ASCII")
        return value.decode("ascii")

    def loose_text(self) -> str:
        """Read a string that should be text; other bytes become surrogates."""
        return self.string().decode("utf-8", "surrogateescape")

    def path_or_empty(self) -> str:
        """Read a store path or an empty string."""
        path = self.text()
        if path:
            directory, _, base_name = path.rpartition("/")
            if self._store_dir is None:
                if not directory.startswith("/") or posixpath.normpath(directory) != directory:
                    self.fail(f"{path[:80]!r} is not a full store path")
                self._store_dir = directory
            if directory != self._store_dir:
                self.fail(f"{path[:80]!r} is not directly below {excerpt(self._store_dir)}")
            try:
                StorePath.parse_base(base_name)
            except StorePathError as error:
                raise DerivationError(error.message, place=self.place) from error
        return path

    def path(self) -> str:
        """Read a store path."""
        return self.path_or_empty() or self.fail("a store path is empty")

    def items(self, item: Callable[[], T]) -> list[T]:
        """Read a list of what *item* reads."""
        self.token(b"[")
        found: list[T] = []
        if self.at(b"]"):
            self._at += 1
            return found
        while True:
            found.append(item())
            if len(found) > MAX_ITEMS:
                raise DerivationLimitError(f"a list of more than {MAX_ITEMS} items", place=self.place)
            if self.at(b"]"):
                self._at += 1
                return found
            self.token(b",")

    def strings(self, item: Callable[[], S]) -> tuple[S, ...]:
        """Read a list of strings."""
        return tuple(self.items(item))

    def table(self, pair: Callable[[], tuple[S, T]]) -> dict[S, T]:
        """Read a list of groups, sorted by their first member."""

        def group() -> tuple[S, T]:
            self.token(b"(")
            found = pair()
            self.token(b")")
            return found

        pairs = self.items(group)
        self.increasing([key for key, _ in pairs], "name")
        return dict(pairs)

    def increasing(self, keys: Sequence[S], what: str) -> None:
        """Refuse *keys* that are not sorted or appear twice."""
        for before, after in pairwise(keys):
            if before >= after:
                problem = "appears twice" if before == after else f"comes after {before[:80]!r}"
                self.fail(f"the {what} {after[:80]!r} {problem}")


def quote(value: bytes) -> bytes:
    """Return a string as it stands in the file."""
    return b'"' + _ESCAPED.sub(lambda character: _TO_ESCAPE[character[0]], value) + b'"'


def quote_text(value: str) -> bytes:
    """Return a string of ASCII as it stands in the file."""
    return quote(value.encode("ascii"))


def list_(items: Iterable[bytes]) -> bytes:
    """Return a list as it stands in the file."""
    return b"[" + b",".join(items) + b"]"


def group(*items: bytes) -> bytes:
    """Return a group as it stands in the file."""
    return b"(" + b",".join(items) + b")"
