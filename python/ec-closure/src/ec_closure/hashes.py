"""Hashes, in every spelling that Nix uses for them (pitfall P2).

Path records in SQLite use ``sha256:<base16>``, narinfo files and fingerprints ``sha256:<nix32>``, CLI JSON and lock
files the SRI form ``sha256-<base64>``. All are turned into bytes at the edge, so that hashes are compared as bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Self

from ec_closure import nix32
from ec_closure.errors import BadInputError

DIGEST_SIZES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}
"""Bytes in a digest, by algorithm; there are no others."""


class HashError(BadInputError):
    """Text is not a hash in any of Nix's spellings."""

    code = "hash"


@dataclass(frozen=True, slots=True, order=True)
class Hash:
    """A digest and the algorithm that made it. Raises `HashError` where the two do not fit."""

    algorithm: str
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.digest) != DIGEST_SIZES.get(self.algorithm):
            size = _size(self.algorithm)
            raise HashError(f"a {self.algorithm} digest has {size} bytes, not {len(self.digest)}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``sha256-<base64>`` (SRI) or ``sha256:`` followed by base16, Nix base-32 or base64.

        Raises `HashError`. A bare digest is refused, since its algorithm would be a guess: see `parse_digest`.
        """
        algorithm, separator, rest = text.partition(":")
        if separator:
            return cls.parse_digest(algorithm, rest)
        algorithm, separator, rest = text.partition("-")
        if not separator:
            raise HashError(f"{text[:80]!r} names no algorithm", hint="write it as sha256:… or sha256-…=")
        size = _size(algorithm)
        if len(rest) != _base64_length(size):
            raise HashError(
                f"the base64 of a {algorithm} digest has {_base64_length(size)} characters, not {len(rest)}"
            )
        return cls(algorithm, _decode_base64(rest))

    @classmethod
    def parse_digest(cls, algorithm: str, text: str) -> Self:
        """Read a digest without its algorithm: base16, Nix base-32 or base64, told apart by length."""
        size = _size(algorithm)
        if len(text) == size * 2:
            return cls(algorithm, _decode_base16(text))
        if len(text) == nix32.encoded_length(size):
            try:
                return cls(algorithm, nix32.decode(text))
            except nix32.Nix32Error as error:
                raise HashError(error.message) from error
        if len(text) == _base64_length(size):
            return cls(algorithm, _decode_base64(text))
        raise HashError(f"{len(text)} characters are no {algorithm} digest in base16, Nix base-32 or base64")

    @classmethod
    def of(cls, algorithm: str, data: bytes) -> Self:
        """Hash *data*."""
        hasher = new(algorithm)
        hasher.update(data)
        return cls(algorithm, hasher.digest())

    @property
    def base16(self) -> str:
        """The digest alone, in lower-case hexadecimal."""
        return self.digest.hex()

    @property
    def nix32(self) -> str:
        """``sha256:<nix32>``, as in narinfo files and fingerprints."""
        return f"{self.algorithm}:{nix32.encode(self.digest)}"

    @property
    def sri(self) -> str:
        """``sha256-<base64>``, as in lock files."""
        return f"{self.algorithm}-{base64.b64encode(self.digest).decode('ascii')}"

    def __str__(self) -> str:
        return self.sri


def new(algorithm: str) -> hashlib._Hash:
    """Return a fresh hasher. MD5 and SHA-1 are here because old fixed outputs are addressed by them."""
    _size(algorithm)
    return hashlib.new(algorithm, usedforsecurity=False)


def compress(digest: bytes, size: int) -> bytes:
    """Fold *digest* to *size* bytes by XOR, as Nix does to make the 20 bytes of a store path."""
    folded = bytearray(size)
    for index, byte in enumerate(digest):
        folded[index % size] ^= byte
    return bytes(folded)


def _size(algorithm: str) -> int:
    size = DIGEST_SIZES.get(algorithm)
    if size is None:
        raise HashError(f"unknown hash algorithm {algorithm[:20]!r}", hint=f"known: {', '.join(DIGEST_SIZES)}")
    return size


def _base64_length(size: int) -> int:
    return (size + 2) // 3 * 4


def _decode_base16(text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except ValueError as error:
        raise HashError("not hexadecimal") from error


def _decode_base64(text: str) -> bytes:
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise HashError("not base64") from error
    if base64.b64encode(digest).decode("ascii") != text:
        raise HashError("the last base64 character carries stray bits")
    return digest
