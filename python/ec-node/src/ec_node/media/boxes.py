"""ISO base media files as a stream of boxes (ISO/IEC 14496-12, clause 4.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_node.errors import MediaError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BOX = 64 << 20
"""Bytes of one box: ten seconds of 50 Mbit/s."""
_HEADER = 8
_LARGE = 16


@dataclass(frozen=True)
class Box:
    """One box: its four-character *kind*, all its *data*, and where in it the content begins."""

    kind: bytes
    data: bytes
    start: int = _HEADER

    @property
    def content(self) -> bytes:
        """What follows the header."""
        return self.data[self.start :]


class BoxReader:
    """Cuts bytes, as they arrive, into top-level boxes."""

    def __init__(self, limit: int = MAX_BOX) -> None:
        self._buffer = bytearray()
        self._limit = limit

    @property
    def waiting(self) -> int:
        """How many bytes of an unfinished box are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Iterator[Box]:
        """Yield the boxes that *data* completes. Raises `MediaError` for sizes that are none, or above the limit."""
        self._buffer += data
        while (header := _header(self._buffer, self._limit)) is not None:
            start, size, kind = header
            if len(self._buffer) < size:
                return
            box = Box(kind, bytes(self._buffer[:size]), start)
            del self._buffer[:size]
            yield box


def children(data: bytes) -> Iterator[Box]:
    """Yield the boxes that *data* is made of. Raises `MediaError` when something is left over."""
    at = 0
    while at < len(data):
        header = _header(memoryview(data)[at : at + _LARGE], len(data) - at)
        if header is None:
            raise MediaError("a box is cut off")
        start, size, kind = header
        yield Box(kind, data[at : at + size], start)
        at += size


def child(data: bytes, *path: bytes) -> bytes:
    """Return the content of the first box at *path* inside *data*. Raises `MediaError` where there is none."""
    for kind in path:
        found = next((box for box in children(data) if box.kind == kind), None)
        if found is None:
            raise MediaError(f"there is no box {kind.decode(errors='replace')}")
        data = found.content
    return data


def _header(data: bytearray | memoryview, limit: int) -> tuple[int, int, bytes] | None:
    """Return where content begins, the size and the kind of the box at the beginning, None when it is not all there."""
    if len(data) < _HEADER:
        return None
    size, kind = struct.unpack_from(">I4s", data)
    start = _HEADER
    if size == 1:
        if len(data) < _LARGE:
            return None
        (size,) = struct.unpack_from(">Q", data, _HEADER)
        start = _LARGE
    if not start <= size <= limit:
        raise MediaError(f"a box of {size} bytes where {start} to {limit} are accepted")
    return start, size, kind
