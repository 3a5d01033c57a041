"""The one spelling of a document: sorted keys, no white space, UTF-8, one newline at the end.

Canonical documents have one reading and one spelling, so that the same input gives the same bytes
(and digest) on every machine, and duplicate keys, odd escapes and white space cannot hide.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec
import zstandard

from ec_closure.errors import BadInputError, LimitError

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder(order="sorted")
_LEVEL = 10
_CHUNK = 1 << 20


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
        raise BadInputError(str(error) or "nested too deep", place=what) from error
    if _ENCODER.encode(document) + b"\n" != data:
        raise NotCanonicalError(
            "not in canonical form (white space, key order, duplicate keys or spelled-out defaults)", place=what
        )
    return document


def compress(data: bytes) -> bytes:
    """Return *data* as one zstd frame; the same bytes for the same input and zstd release."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True).compress(data)


def decompress(data: bytes, *, what: str, max_bytes: int) -> bytes:
    """Return what the zstd frame *data* holds, reading no further than *max_bytes* of it.

    Raises `LimitError` for a bomb, `CompressionError` for damage or bytes after the frame.
    """
    engine = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
    parts: list[bytes] = []
    total = 0
    try:
        # Small slices of input bound the output of each step, so that a bomb is seen before it is held.
        for start in range(0, len(data), 1 << 13):
            part = engine.decompress(data[start : start + (1 << 13)])
            total += len(part)
            if total > max_bytes:
                raise LimitError(f"holds more than {max_bytes} bytes", place=what)
            parts.append(part)
            if engine.eof and (engine.unused_data or start + (1 << 13) < len(data)):
                raise CompressionError("bytes follow the compressed frame", place=what)
    except zstandard.ZstdError as error:
        raise CompressionError(f"not a whole zstd frame: {error}", place=what) from error
    if not engine.eof:
        raise CompressionError("the compressed frame is cut short", place=what)
    return b"".join(parts)
