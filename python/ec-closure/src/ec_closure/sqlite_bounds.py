"""Bounds for questions to a SQLite database that belongs to someone else.

Pages of a damaged file may lead in circles, so that a small file has rows without end, and each of them long. What an
honest file holds fits many times: the closure of 10,000 paths takes less than a step of SQLite's machine for three
bytes of the file.
"""

from __future__ import annotations

import marshal
import sqlite3
from typing import TYPE_CHECKING, Any, Final

from ec_closure.sqlite_file import size_of

if TYPE_CHECKING:
    from pathlib import Path

_STEPS_PER_BYTE: Final = 8
_SOME_STEPS: Final = 2_000_000
_STEPS_AT_ONCE: Final = 50_000
_ROWS_AT_ONCE: Final = 4
_ROOM: Final = 1 << 20
_ROOM_PER_BYTE: Final = 2


class EndlessError(sqlite3.DatabaseError):
    """A database answers with more than its file has room for."""


class Bounds:
    """How much of the database at *path* may be read through *connection*, by the size of its file."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._path = path
        self._steps = 0
        self._size = 0
        connection.set_progress_handler(self._step, _STEPS_AT_ONCE)

    def begin(self) -> None:
        """Allow for another question: a step count beyond all need. Raises `OSError`."""
        self._size = size_of(self._path)
        self._steps = _SOME_STEPS + _STEPS_PER_BYTE * self._size

    def rows(self, cursor: sqlite3.Cursor) -> list[tuple[Any, ...]]:
        """Return all rows of *cursor*. Raises `EndlessError` when the file has no room for them."""
        found: list[tuple[Any, ...]] = []
        room = _ROOM + _ROOM_PER_BYTE * self._size
        while some := cursor.fetchmany(_ROWS_AT_ONCE):
            # The quickest way to measure rows; an honest one is no longer like this than in its table and indexes.
            room -= len(marshal.dumps(some))
            if room < 0:
                raise EndlessError("more rows than the file has room for")
            found += some
        return found

    def _step(self) -> bool:
        """Tell SQLite, which asks once in a while, whether to stop."""
        self._steps -= _STEPS_AT_ONCE
        return self._steps < 0
