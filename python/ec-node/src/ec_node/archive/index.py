"""The index of an archived broadcast: a file of JSON lines that only grows, one line a segment.

A line is appended by a single write, after the objects that it names are on the disk. A run that is killed leaves at
most a line without its end, which the next one cuts off; a line that is no record is passed over, and counted.
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec

from ec_closure import files
from ec_closure.record import Sha256
from ec_node.archive.cas import failed
from ec_node.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_LINE = 4096


class Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One segment: *time* is when it was on air, milliseconds since 1970; *duration* in milliseconds.

    *broken* says that it does not go on where the line before ended.
    """

    time: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    duration: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)]
    size: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    segment: Sha256
    head: Sha256
    broken: bool = False


@dataclass(frozen=True)
class Index:
    """What an index says. *damaged* lines are none."""

    lines: tuple[Line, ...]
    damaged: int = 0


class IndexWriter:
    """Appends to the index *path*, alone: a second writer is refused. Raises `ArchiveError`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            raise failed(error, path) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._mend()
            files.sync_directory(path.parent)
        except BlockingIOError:
            os.close(self._descriptor)
            raise ArchiveError("another run archives this broadcast", place=str(path)) from None
        except OSError as error:
            os.close(self._descriptor)
            raise failed(error, path) from error

    def append(self, line: Line) -> None:
        """Append *line*. It is on the disk when this returns, or not in the file at all."""
        data = msgspec.json.encode(line) + b"\n"
        size = os.fstat(self._descriptor).st_size
        try:
            written = os.write(self._descriptor, data)
            if written != len(data):
                # A full disk takes a part: what is not whole goes again.
                os.ftruncate(self._descriptor, size)
                raise ArchiveError("no space left on device", place=str(self._path))
            os.fdatasync(self._descriptor)
        except OSError as error:
            raise failed(error, self._path) from error

    def close(self) -> None:
        """Let others write."""
        os.close(self._descriptor)

    def _mend(self) -> None:
        """Cut off a last line without its end; one that is longer than any of ours gets one, and is no record."""
        size = os.fstat(self._descriptor).st_size
        tail = os.pread(self._descriptor, _MAX_LINE, max(0, size - _MAX_LINE))
        if tail and not tail.endswith(b"\n"):
            if b"\n" in tail or size == len(tail):
                os.ftruncate(self._descriptor, size - len(tail) + tail.rfind(b"\n") + 1)
            else:
                os.write(self._descriptor, b"\n")
            os.fsync(self._descriptor)


def read(path: Path) -> Index:
    """Return what the index *path* says, also while it is written to. Raises `ArchiveError` when it cannot be read."""
    lines: list[Line] = []
    damaged = 0
    try:
        with files.open_regular(path) as file:
            for raw in _whole(file):
                try:
                    lines.append(msgspec.json.decode(raw, type=Line))
                except (msgspec.DecodeError, UnicodeDecodeError):
                    damaged += 1
    except OSError as error:
        raise failed(error, path) from error
    return Index(tuple(lines), damaged)


def _whole(file: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines that have their end."""
    for raw in file:
        if raw.endswith(b"\n"):
            yield raw[:_MAX_LINE]
