"""The one spelling of a document: sorted keys, no white space, UTF-8, one newline at the end.

Canonical documents have one reading and one spelling, so that the same input gives the same bytes
(and digest) on every machine, and duplicate keys, odd escapes and white space cannot hide.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec
import zstandard

from ec_closure.decoding import explain
from ec_closure.errors import BadInputError, LimitError

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder(order="sorted")
_LEVEL = 10
_MAX_WINDOW = 1 << 27


class NotCanonicalError(BadInputError):
    """The document decodes, but is not spelt in the one allowed way."""

    code = "not-canonical"


class CompressionError(BadInputError):
    """The compressed bytes are damaged."""

    code = "compression"


def encode(document: msgspec.Struct) -> bytes:
    """Return the canonical bytes of *document*."""
    return _ENCODER.encode(document) + b"\n"


def digest(data: bytes) -> str:
    """Return the SHA-256 of *data* in hexadecimal, the digest that documents of ours cite."""
    return hashlib.sha256(data).hexdigest()


def decode(data: bytes, kind: type[T], *, what: str, max_bytes: int) -> T:
    """Decode canonical *data* into *kind*.

    Types given here must forbid unknown fields: their nesting then bounds the depth. Raises
    `LimitError`, `BadInputError` with the place inside the document, or `NotCanonicalError`.
    """
    if len(data) > max_bytes:
        raise LimitError(f"{len(data)} bytes where at most {max_bytes} are accepted", place=what)
    try:
        document = msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message, place = explain(error, what)
        raise BadInputError(message or "nested too deep", place=place) from error
    spelled = _ENCODER.encode(document) + b"\n"
    if spelled != data:
        raise NotCanonicalError(
            "not in canonical form (white space, key order, duplicate keys or spelled-out defaults)",
            place=f"{what}: byte {_first_difference(spelled, data)}",
        )
    return document


def _first_difference(one: bytes, other: bytes) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle - 1)
    return low


def compress(data: bytes) -> bytes:
    """Return *data* as one zstd frame; the same bytes for the same input and zstd release."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True).compress(data)


def decompress(data: bytes, *, what: str, max_bytes: int) -> bytes:
    """Return what the zstd frame *data* holds: one frame that states its size, as `compress` makes them.

    No more than that size is ever held. Raises `LimitError` for a frame that states more than
    *max_bytes*, `CompressionError` for damage, for a frame that is empty or does not keep its
    word, and for bytes after it.
    """
    try:
        stated = zstandard.get_frame_parameters(data).content_size
        if stated in (0, zstandard.CONTENTSIZE_UNKNOWN):
            raise CompressionError("the compressed frame is empty or does not state its size", place=what)
        if stated > max_bytes:
            raise LimitError(f"holds {stated} bytes where at most {max_bytes} are accepted", place=what)
        engine = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        return engine.decompress(data, read_across_frames=False, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CompressionError(f"not one whole zstd frame: {error}", place=what) from error
