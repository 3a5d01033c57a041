from __future__ import annotations

import bz2
import io
import lzma

import pytest
import zstandard

from ec_closure.compression import UnsupportedCompressionError, decompressed
from ec_closure.errors import BadInputError, LimitError

DATA = b"words " * 50_000
PACKED = {
    "none": DATA,
    "xz": lzma.compress(DATA),
    "bzip2": bz2.compress(DATA),
    "zstd": zstandard.ZstdCompressor().compress(DATA),
}


def undo(data: bytes, method: str, limit: int = 1 << 20) -> bytes:
    """Decompress *data*."""
    return b"".join(decompressed(io.BytesIO(data), method, limit=limit, what="nar"))


@pytest.mark.parametrize("method", PACKED)
def test_what_caches_compress_comes_out(method: str) -> None:
    """As narinfo files name the methods."""
    assert DATA == undo(PACKED[method], method)


@pytest.mark.parametrize("method", PACKED)
def test_more_than_was_announced_is_refused(method: str) -> None:
    """A bomb ends at its limit."""
    with pytest.raises(LimitError):
        undo(PACKED[method], method, len(DATA) - 1)


@pytest.mark.parametrize("method", ["xz", "bzip2", "zstd"])
def test_damage_is_refused(method: str) -> None:
    """With a typed error, or by what comes out: a hash is compared afterwards."""
    with pytest.raises(BadInputError):
        undo(b"garbage" * 100, method)


def test_an_unknown_method_is_refused() -> None:
    """Before anything is read."""
    with pytest.raises(UnsupportedCompressionError):
        undo(DATA, "rot13")
