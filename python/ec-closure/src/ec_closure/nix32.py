"""Nix's base-32: the spelling of hashes in store paths, narinfo files and fingerprints.

The alphabet leaves out e, o, u and t; the bytes are read as one little-endian number whose most significant digit
comes first. Source: Nix's libutil/hash.cc; it is neither RFC 4648 nor Crockford's base-32.
"""

from __future__ import annotations

from ec_closure.errors import BadInputError

ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
_VALUES = {character: value for value, character in enumerate(ALPHABET)}
_SHIFTS = {size: range(5 * (encoded - 1), -1, -5) for size, encoded in ((16, 26), (20, 32), (32, 52), (64, 103))}


class Nix32Error(BadInputError):
    """Text is not the Nix base-32 of any bytes."""

    code = "nix32"


def encoded_length(size: int) -> int:
    """Return how many characters *size* bytes take."""
    return (size * 8 + 4) // 5


def encode(data: bytes) -> str:
    """Return the Nix base-32 of *data*."""
    number = int.from_bytes(data, "little")
    shifts = _SHIFTS.get(len(data)) or range(5 * (encoded_length(len(data)) - 1), -1, -5)
    return "".join([ALPHABET[number >> shift & 31] for shift in shifts])


def decode(text: str) -> bytes:
    """Return the bytes that *text* spells.

    Raises `Nix32Error` for a character outside the alphabet, for a length that no bytes have, and for padding bits
    that are not zero: so each value has exactly one spelling.
    """
    size = len(text) * 5 // 8
    if encoded_length(size) != len(text):
        raise Nix32Error(f"{len(text)} characters are no whole number of bytes")
    number = 0
    for position, character in enumerate(text):
        value = _VALUES.get(character)
        if value is None:
            raise Nix32Error(f"{character!r} at position {position} is not in Nix's base-32 alphabet")
        number = number << 5 | value
    if number >> size * 8:
        raise Nix32Error("the padding bits are not zero")
    return number.to_bytes(size, "little")
