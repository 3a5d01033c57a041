"""Store paths: how they are spelled, and how Nix makes them out of a digest.

Source: Nix's libstore/path.cc and store-api.cc. Paths are *logical*: ``/nix/store/…`` names the same path where the
store lies elsewhere on disk (``--store /mnt``), so nothing here touches a file system (pitfall P39).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Self

from ec_closure import nix32
from ec_closure.errors import BadInputError
from ec_closure.hashes import compress

STORE_DIR = "/nix/store"
"""The store directory of nearly every Nix."""

HASH_PART_LENGTH = 32
MAX_NAME_LENGTH = 211

_HASH_PART = re.compile(rf"[{nix32.ALPHABET}]{{{HASH_PART_LENGTH}}}")
_NAME = re.compile(rf"[0-9A-Za-z+\-._?=]{{1,{MAX_NAME_LENGTH}}}")
_DIGEST_SIZE = 32


class StorePathError(BadInputError):
    """Text is not a store path."""

    code = "store-path"


@dataclass(frozen=True, slots=True, order=True)
class StorePath:
    """The name of one store object: ``<hash part>-<name>``.

    Names may start with a dot: Nix 2.4 to 2.18 made such paths, and old stores hold them; a name that is all dots is
    harmless behind its hash part. Raises `StorePathError`.
    """

    hash_part: str
    name: str

    def __post_init__(self) -> None:
        if not _HASH_PART.fullmatch(self.hash_part):
            raise StorePathError(f"{self.hash_part[:40]!r} is not the hash part of a store path")
        check_name(self.name)

    @classmethod
    def parse(cls, text: str, store_dir: str = STORE_DIR) -> Self:
        """Read a full store path: directly below *store_dir*, nothing below the path itself."""
        directory, _, base_name = text.rpartition("/")
        if directory != store_dir:
            raise StorePathError(f"{_short(text)} is not a path directly below {store_dir}")
        return cls.parse_base(base_name)

    @classmethod
    def parse_base(cls, base_name: str) -> Self:
        """Read ``<hash part>-<name>``."""
        if base_name[HASH_PART_LENGTH : HASH_PART_LENGTH + 1] != "-":
            raise StorePathError(f"{_short(base_name)} does not look like <hash>-<name>")
        return cls(base_name[:HASH_PART_LENGTH], base_name[HASH_PART_LENGTH + 1 :])

    @property
    def base_name(self) -> str:
        """``<hash part>-<name>``."""
        return f"{self.hash_part}-{self.name}"

    @property
    def is_derivation(self) -> bool:
        """Whether the name says that this is a derivation."""
        return self.name.endswith(".drv")

    def within(self, store_dir: str = STORE_DIR) -> str:
        """Return the full path below *store_dir*."""
        return f"{store_dir}/{self.hash_part}-{self.name}"

    def __str__(self) -> str:
        return self.base_name


def full_path(store_dir: str = STORE_DIR) -> re.Pattern[str]:
    """Return the expression that `StorePath.parse` accepts, for those who check very many."""
    return re.compile(f"{re.escape(store_dir)}/{_HASH_PART.pattern}-{_NAME.pattern}")


def check_name(name: str) -> None:
    """Raise `StorePathError` unless *name* may follow the hash part."""
    if not _NAME.fullmatch(name):
        if not name:
            raise StorePathError("a store path needs a name")
        if len(name) > MAX_NAME_LENGTH:
            raise StorePathError(f"the name {_short(name)} is longer than {MAX_NAME_LENGTH} characters")
        raise StorePathError(f"the name {_short(name)} has characters other than letters, digits and +-._?=")


def make_store_path(kind: str, digest: bytes, name: str, store_dir: str = STORE_DIR) -> str:
    """Return the full store path of something of *kind* with the SHA-256 *digest*.

    *kind* is Nix's "type": ``output:out``, ``source:<ref>:self``, ``text:<ref>:<ref>``, with full references.
    """
    if len(digest) != _DIGEST_SIZE:
        raise StorePathError(f"a store path is made from a SHA-256 digest, not from {len(digest)} bytes")
    check_name(name)
    preimage = f"{kind}:sha256:{digest.hex()}:{store_dir}:{name}".encode()
    folded = compress(hashlib.sha256(preimage).digest(), 20)
    return f"{store_dir}/{nix32.encode(folded)}-{name}"


def _short(text: str) -> str:
    return repr(text if len(text) <= 100 else text[:100] + "…")  # noqa: PLR2004 - enough to recognise it by
