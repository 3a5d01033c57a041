"""Undoing what binary caches do to archives, a piece at a time and up to a limit."""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

import zstandard

from ec_closure.errors import BadInputError, LimitError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 64 * 1024
_MEMORY: Final = 256 << 20


class UnsupportedCompressionError(BadInputError):
    """A cache compresses in a way that is not known here."""

    code = "compression-method"


class _Engine(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


class _Plain:
    def decompress(self, data: bytes, /) -> bytes:
        return data


def decompressed(stream: BinaryIO, method: str, *, limit: int, what: str) -> Iterator[bytes]:
    """Yield what *stream* holds, compressed by *method* as narinfo files name it (`none`, `xz`, `zstd`, `bzip2`).

    Raises `UnsupportedCompressionError`, `LimitError` when more than *limit* bytes come out, `BadInputError` for
    damage. A piece of input may become as much as the method allows before the limit is seen.
    """
    engine = _engine(method, what)
    total = 0
    try:
        while data := stream.read(_CHUNK):
            piece = engine.decompress(data)
            total += len(piece)
            if total > limit:
                raise LimitError(f"more than the {limit} bytes that were announced", place=what)
            if piece:
                yield piece
    except (lzma.LZMAError, zstandard.ZstdError, zlib.error, EOFError, OSError, MemoryError) as error:
        raise BadInputError(f"is damaged: {error}", place=what) from error


def _engine(method: str, what: str) -> _Engine:
    match method:
        case "none":
            return _Plain()
        case "xz":
            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MEMORY)
        case "zstd":
            return zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        case "bzip2":
            return bz2.BZ2Decompressor()
    raise UnsupportedCompressionError(f"compressed by {method[:40]!r}, which is not known here", place=what)
