"""Narinfo files: what a binary cache says about one store path.

A signature covers the store path, the hash and size of the NAR and the references, and *nothing else*. ``Deriver``,
``CA``, ``URL``, ``Compression``, ``FileHash`` and ``FileSize`` are unsigned hints that a cache may forge at will
(pitfall P7): never take them as evidence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NoReturn, Self

from ec_closure import signing
from ec_closure.errors import BadInputError, LimitError
from ec_closure.hashes import Hash, HashError
from ec_closure.store_path import STORE_DIR, StorePath, StorePathError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_SIZE: Final = 4 * 1024 * 1024
"""Bytes in a narinfo; some paths have thousands of references."""

_REQUIRED: Final = ("StorePath", "URL", "NarHash", "NarSize")
_FIELDS: Final = frozenset(
    {*_REQUIRED, "Compression", "FileHash", "FileSize", "References", "Deriver", "System", "Sig", "CA"}
)
_MAX_NUMBER_DIGITS: Final = 18


class NarInfoError(BadInputError):
    """Text is not a narinfo; the place is a line number."""

    code = "narinfo"


class NarInfoLimitError(NarInfoError, LimitError):
    """A narinfo is larger than is accepted."""

    code = "narinfo-limit"


@dataclass(frozen=True, slots=True)
class NarInfo:
    """One narinfo. Sizes in bytes; *store_path*, *references* and *deriver* are full store paths."""

    store_path: str
    url: str
    compression: str
    nar_hash: Hash
    nar_size: int
    references: tuple[str, ...] = ()
    file_hash: Hash | None = None
    file_size: int | None = None
    deriver: str | None = None
    signatures: tuple[str, ...] = ()
    ca: str | None = None
    store_dir: str = STORE_DIR

    @classmethod
    def parse(cls, text: str | bytes, store_dir: str = STORE_DIR) -> Self:
        """Read a narinfo of a cache for *store_dir*.

        Fields of a name that is not known here are ignored and not rendered again, as Nix does, so that later
        versions may add some; so is ``System``. Of known fields only ``Sig`` may appear more than once. References
        come out sorted.

        Raises `NarInfoError` with the line, `NarInfoLimitError` beyond 4 MiB or 100 signatures. Not checked: any
        signature (see `signers`), and whatever signatures do not cover.
        """
        if len(text) > MAX_SIZE:
            raise NarInfoLimitError(f"larger than {MAX_SIZE} bytes")
        fields = _fields(text)
        first = {name: values[0] for name, values in fields.items()}
        for name in _REQUIRED:
            if not first.get(name, ("", 0))[0]:
                raise NarInfoError(f"has no {name}")
        if len(fields.get("Sig", ())) > signing.MAX_SIGNATURES:
            raise NarInfoLimitError(f"more than {signing.MAX_SIGNATURES} signatures")
        record = _Record(first, store_dir)
        nar_size = record.number("NarSize")
        nar_hash = record.hash("NarHash")
        if not nar_size or nar_hash is None:
            raise NarInfoError("the NarSize is zero")
        return cls(
            store_path=record.own_path(),
            url=record.text("URL"),
            # Nix takes an absent field for the compression of old.
            compression=record.text("Compression") or "bzip2",
            nar_hash=nar_hash,
            nar_size=nar_size,
            references=record.references(),
            file_hash=record.hash("FileHash"),
            file_size=record.number("FileSize"),
            deriver=record.deriver(),
            signatures=tuple(value for value, _ in fields.get("Sig", ())),
            ca=record.text("CA") or None,
            store_dir=store_dir,
        )

    def render(self) -> str:
        """Return the narinfo file, with its fields in the order that Nix writes.

        Raises `NarInfoError` for a value that would make another line.
        """
        lines = [
            ("StorePath", self.store_path),
            ("URL", self.url),
            ("Compression", self.compression),
            ("FileHash", self.file_hash and self.file_hash.nix32),
            ("FileSize", None if self.file_size is None else str(self.file_size)),
            ("NarHash", self.nar_hash.nix32),
            ("NarSize", str(self.nar_size)),
            ("References", " ".join(map(_base_name, self.references))),
            ("Deriver", self.deriver and _base_name(self.deriver)),
            *(("Sig", signature) for signature in self.signatures),
            ("CA", self.ca),
        ]
        for name, value in lines:
            if value and not value.isprintable():
                raise NarInfoError(f"{name} has characters that cannot be printed", place=self.store_path)
        return "".join(f"{name}: {value}\n" for name, value in lines if value is not None)

    def fingerprint(self) -> bytes:
        """Return what signatures are made on."""
        return signing.fingerprint(self.store_path, self.nar_hash, self.nar_size, self.references, self.store_dir)

    def sign(self, key: signing.SecretKey) -> Self:
        """Return the same narinfo with one more signature."""
        signature = key.sign(self.fingerprint())
        return replace(self, signatures=(*(old for old in self.signatures if old != signature), signature))

    def signers(self, keys: signing.Keyring) -> frozenset[bytes]:
        """Return the public keys, as bytes, that validly signed this (pitfall P37)."""
        return signing.valid_signers(self.fingerprint(), self.signatures, keys)


def _fields(text: str | bytes) -> dict[str, list[tuple[str, int]]]:
    """Return the known fields: name → values with their line numbers."""
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise NarInfoError("not UTF-8", place=f"offset {error.start}") from error
    if not text.endswith("\n"):
        raise NarInfoError("the last line has no end: the file was cut off")
    fields: dict[str, list[tuple[str, int]]] = {}
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        name, separator, value = line.partition(": ")
        if not separator:
            name, separator, value = line.partition(":")
        if not separator or not name or not value.isprintable():
            raise NarInfoError("expected 'Name: value'", place=f"line {number}")
        if name not in _FIELDS:
            continue
        values = fields.setdefault(name, [])
        if values and name != "Sig":
            raise NarInfoError(f"a second {name}", place=f"line {number}")
        values.append((value.strip(" "), number))
    return fields


class _Record:
    """The fields that appear once, read as what they are."""

    def __init__(self, fields: dict[str, tuple[str, int]], store_dir: str) -> None:
        self._fields = fields
        self._store_dir = store_dir

    def _fail(self, name: str, message: str) -> NoReturn:
        raise NarInfoError(f"{name}: {message}", place=f"line {self._fields[name][1]}")

    def text(self, name: str) -> str:
        return self._fields.get(name, ("", 0))[0]

    def number(self, name: str) -> int | None:
        value = self.text(name)
        if not value:
            return None
        if not (value.isascii() and value.isdecimal() and len(value) <= _MAX_NUMBER_DIGITS):
            self._fail(name, f"{value[:40]!r} is not a number of bytes")
        return int(value)

    def hash(self, name: str) -> Hash | None:
        value = self.text(name)
        if not value:
            return None
        try:
            found = Hash.parse(value)
        except HashError as error:
            self._fail(name, error.message)
        if name == "NarHash" and found.algorithm != "sha256":
            self._fail(name, "only sha256 is accepted")
        return found

    def own_path(self) -> str:
        try:
            return StorePath.parse(self.text("StorePath"), self._store_dir).within(self._store_dir)
        except StorePathError as error:
            self._fail("StorePath", error.message)

    def references(self) -> tuple[str, ...]:
        names = self.text("References").split()
        if len(set(names)) != len(names):
            self._fail("References", "a path appears twice")
        return tuple(sorted(self._paths("References", names)))

    def deriver(self) -> str | None:
        name = self.text("Deriver")
        return None if name in {"", "unknown-deriver"} else next(self._paths("Deriver", [name]))

    def _paths(self, field: str, names: Iterable[str]) -> Iterator[str]:
        for name in names:
            try:
                yield StorePath.parse_base(name).within(self._store_dir)
            except StorePathError as error:
                self._fail(field, error.message)


def _base_name(path: str) -> str:
    return path.rpartition("/")[2]
