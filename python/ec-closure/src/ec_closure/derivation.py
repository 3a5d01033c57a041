"""Derivations: what a ``.drv`` file says is to be built.

The file is an ATerm, ``Derive([outputs],[input derivations],[input
sources],system,builder,[arguments],[environment])``, unchanged since the beginning of Nix, while the JSON that CLI
commands print changed seven times (pitfalls P3, P4). Source: Nix's libstore/derivations.cc.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NoReturn, Self, TypeVar

import msgspec

from ec_closure.content_address import ContentAddress
from ec_closure.errors import BadInputError, LimitError
from ec_closure.hashes import Hash, HashError
from ec_closure.store_path import StorePath, StorePathError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

S = TypeVar("S", str, bytes)
T = TypeVar("T")

MAX_SIZE: Final = 64 * 1024 * 1024
"""Bytes in a ``.drv`` file; the largest known ones are a few MiB."""
MAX_ITEMS: Final = 1_000_000
"""Items in one list."""

_DYNAMIC: Final = b"xp-dyn-drv"
_IMPURE: Final = "impure"


class DerivationError(BadInputError):
    """Bytes are not a derivation as Nix writes it; the place is a byte offset."""

    code = "derivation"


class DerivationLimitError(DerivationError, LimitError):
    """A derivation is larger than is accepted."""

    code = "derivation-limit"


class UnsupportedDerivationError(DerivationError):
    """A derivation uses something experimental that is not understood here."""

    code = "derivation-unsupported"


@dataclass(frozen=True, slots=True)
class Output:
    """One output, as written.

    *path* is its full store path, empty where that is not known before the build. *hash_algo* and *hash* (base16) are
    set for fixed outputs; an algorithm without a hash is a floating content address.
    """

    path: str
    hash_algo: str = ""
    hash: str = ""

    @property
    def content_address(self) -> ContentAddress | None:
        """How the bytes are addressed, if the output is fixed: from this its path follows.

        Raises `DerivationError` for methods, algorithms and digests that are not understood.
        """
        if self.hash in {"", _IMPURE}:
            return None
        algorithm = self.hash_algo.removeprefix("r:")
        try:
            declared = Hash.parse_digest(algorithm, self.hash)
        except HashError as error:
            raise DerivationError(error.message, place=self.path, hint=error.hint) from error
        return ContentAddress("recursive" if self.hash_algo.startswith("r:") else "flat", declared)


@dataclass(frozen=True, slots=True)
class Derivation:
    """One derivation, in the order of its file: outputs and inputs by name, environment by key.

    *system* and *builder* are text with undecodable bytes as surrogates; arguments and environment are bytes.
    """

    outputs: dict[str, Output]
    input_drvs: dict[str, tuple[str, ...]]
    input_srcs: tuple[str, ...]
    system: str
    builder: str
    args: tuple[bytes, ...]
    env: dict[bytes, bytes]
    version: str = ""
    """Empty, or the experimental feature that the file names as its version."""

    @classmethod
    def parse(cls, data: bytes, store_dir: str | None = None) -> Self:
        """Read the contents of a ``.drv`` file; its paths are all of *store_dir*, or of any one store directory.

        Accepts exactly what Nix writes: names, inputs and variables sorted and without duplicates, no needless escapes;
        so `unparse` gives back the same bytes. Values may hold any bytes.

        Raises `DerivationError` with the offset, `DerivationLimitError` beyond 64 MiB, `UnsupportedDerivationError` for
        dynamic derivations. Not checked: that outputs follow from the
        inputs, or what the environment says.
        """
        if len(data) > MAX_SIZE:
            raise DerivationLimitError(f"larger than {MAX_SIZE} bytes")
        reader = _Reader(data, store_dir)
        version = reader.header()
        outputs = reader.table(lambda: _output(reader))
        reader.token(b",")
        input_drvs = reader.table(lambda: _input(reader))
        reader.token(b",")
        input_srcs = reader.strings(reader.path)
        reader.increasing(input_srcs, "input source")
        reader.token(b",")
        system = reader.loose_text()
        reader.token(b",")
        builder = reader.loose_text()
        reader.token(b",")
        args = reader.strings(reader.string)
        reader.token(b",")
        env = reader.table(lambda: _variable(reader))
        reader.token(b")")
        reader.end()
        return cls(outputs, input_drvs, input_srcs, system, builder, args, env, version)

    def unparse(self) -> bytes:
        """Return the contents of the ``.drv`` file."""
        outputs = (
            _group(_quote_text(name), _quote_text(out.path), _quote_text(out.hash_algo), _quote_text(out.hash))
            for name, out in self.outputs.items()
        )
        inputs = (_group(_quote_text(path), _list(map(_quote_text, names))) for path, names in self.input_drvs.items())
        fields = [
            _list(outputs),
            _list(inputs),
            _list(map(_quote_text, self.input_srcs)),
            _quote(self.system.encode("utf-8", "surrogateescape")),
            _quote(self.builder.encode("utf-8", "surrogateescape")),
            _list(map(_quote, self.args)),
            _list(_group(_quote(key), _quote(value)) for key, value in self.env.items()),
        ]
        if self.version:
            return b"DrvWithVersion" + _group(_quote_text(self.version), *fields)
        return b"Derive" + _group(*fields)

    @property
    def is_fixed_output(self) -> bool:
        """Whether the one output's bytes are fixed by a hash; such a build may use the network (P16)."""
        out = self.outputs.get("out")
        return len(self.outputs) == 1 and out is not None and out.hash not in {"", _IMPURE}

    @property
    def is_content_addressed(self) -> bool:
        """Whether outputs are floating: their paths follow from what the build makes (P15)."""
        return any(output.hash_algo and not output.hash for output in self.outputs.values())

    @property
    def is_impure(self) -> bool:
        """Whether the derivation says of itself that each build may differ."""
        return any(output.hash == _IMPURE for output in self.outputs.values())

    @property
    def references(self) -> tuple[str, ...]:
        """The store paths that the file refers to, sorted: its own path follows from them and its text."""
        return tuple(sorted({*self.input_drvs, *self.input_srcs}))

    @property
    def name(self) -> str:
        """The name that outputs are called by, without the output's own name.

        From the variable ``name``, or with structured attributes from ``__json``. Empty if neither holds one: a
        derivation is safely named only by its own store path.
        """
        name = self.env.get(b"name")
        if name is None and (attributes := self.env.get(b"__json")) is not None:
            try:
                return msgspec.json.decode(attributes, type=_StructuredAttributes).name
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return ""
        return (name or b"").decode("ascii", "replace")


class _StructuredAttributes(msgspec.Struct):
    name: str = ""


def _output(reader: _Reader) -> tuple[str, Output]:
    name = reader.text()
    reader.token(b",")
    path = reader.path_or_empty()
    reader.token(b",")
    algorithm = reader.text()
    reader.token(b",")
    return name, Output(path, algorithm, reader.text())


def _input(reader: _Reader) -> tuple[str, tuple[str, ...]]:
    path = reader.path()
    reader.token(b",")
    if reader.at(b"("):
        raise UnsupportedDerivationError(
            "depends on an output of an output (dynamic derivations)",
            place=reader.place,
            hint="derivations made while building cannot be compared before the build",
        )
    names = reader.strings(reader.text)
    reader.increasing(names, "output name")
    return path, names


def _variable(reader: _Reader) -> tuple[bytes, bytes]:
    key = reader.string()
    reader.token(b",")
    return key, reader.string()


# A string as Nix writes it: five characters are escaped, all other bytes stand for themselves.
# Possessive, so that no string, however hostile, makes the matching go back.
_STRING: Final = re.compile(rb'"((?:[^"\\\n\r\t]++|\\["\\nrt])*+)"')
_ESCAPED: Final = re.compile(rb'["\\\n\r\t]')
_ESCAPE: Final = re.compile(rb"\\(.)")
_TO_ESCAPE: Final = {b'"': rb"\"", b"\\": rb"\\", b"\n": rb"\n", b"\r": rb"\r", b"\t": rb"\t"}
_FROM_ESCAPE: Final = {escape[1:]: character for character, escape in _TO_ESCAPE.items()}


class _Reader:
    """A position in the bytes of a derivation."""

    def __init__(self, data: bytes, store_dir: str | None) -> None:
        self._data = data
        self._store_dir = store_dir
        self._at = 0

    @property
    def place(self) -> str:
        return f"offset {self._at}"

    def fail(self, message: str) -> NoReturn:
        raise DerivationError(message, place=self.place)

    def at(self, token: bytes) -> bool:
        return self._data.startswith(token, self._at)

    def token(self, token: bytes) -> None:
        if not self._data.startswith(token, self._at):
            found = self._data[self._at : self._at + 10]
            self.fail(f"expected {token.decode()!r}, found {found!r}" if found else "it ends early")
        self._at += len(token)

    def header(self) -> str:
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
        if self._at != len(self._data):
            self.fail("something follows the derivation")

    def string(self) -> bytes:
        match = _STRING.match(self._data, self._at)
        if match is None:
            self.fail("expected a string as Nix writes it")
        self._at = match.end()
        raw = match[1]
        return _ESCAPE.sub(lambda escape: _FROM_ESCAPE[escape[1]], raw) if b"\\" in raw else raw

    def text(self) -> str:
        value = self.string()
        if not value.isascii():
            self.fail("a name has characters other than ASCII")
        return value.decode("ascii")

    def loose_text(self) -> str:
        return self.string().decode("utf-8", "surrogateescape")

    def path_or_empty(self) -> str:
        path = self.text()
        if path:
            directory, _, base_name = path.rpartition("/")
            if self._store_dir is None:
                if not directory.startswith("/") or posixpath.normpath(directory) != directory:
                    self.fail(f"{path[:80]!r} is not a full store path")
                self._store_dir = directory
            if directory != self._store_dir:
                self.fail(f"{path[:80]!r} is not directly below {self._store_dir}")
            try:
                StorePath.parse_base(base_name)
            except StorePathError as error:
                raise DerivationError(error.message, place=self.place) from error
        return path

    def path(self) -> str:
        return self.path_or_empty() or self.fail("a store path is empty")

    def items(self, item: Callable[[], T]) -> list[T]:
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
        for before, after in pairwise(keys):
            if before >= after:
                problem = "appears twice" if before == after else f"comes after {before[:80]!r}"
                self.fail(f"the {what} {after[:80]!r} {problem}")


def _quote(value: bytes) -> bytes:
    return b'"' + _ESCAPED.sub(lambda character: _TO_ESCAPE[character[0]], value) + b'"'


def _quote_text(value: str) -> bytes:
    return _quote(value.encode("ascii"))


def _list(items: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def _group(*items: bytes) -> bytes:
    return b"(" + b",".join(items) + b")"
