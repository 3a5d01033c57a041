"""The number of the next segment, which never goes back: not over a restart, a crash, or a clock that was set back.

Numbers are reserved in blocks, on disk, before they are used; a run that is killed leaves a gap. Where nothing is left
of earlier runs (a node without a disk), the clock gives a number above all that they can have used: what is live is not
published faster than time goes by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ec_closure import files

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 1000
_AHEAD = 100
_MAX = 2**53

log = structlog.get_logger()


class Sequence:
    """The numbers of one broadcast, kept in the file *path*. A disk that takes nothing is logged, and survived."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserved = 0

    def first(self, wall: float, segment: int) -> int:
        """Return the first number of this run. *wall* is the time, *segment* the seconds of a segment at least."""
        number = max(self._read(), int(wall) // segment, 0)
        self._reserve(number)
        return number

    def used(self, number: int) -> None:
        """Say that *number* is about to be used."""
        if number + _AHEAD >= self._reserved:
            self._reserve(number)

    def _read(self) -> int:
        try:
            with files.open_regular(self._path) as file:
                text = file.read(32).strip()
        except FileNotFoundError:
            return 0
        except OSError as error:
            log.warning("the numbers of earlier runs cannot be read", file=str(self._path), reason=error.strerror)
            return 0
        if not text.isdigit() or int(text) >= _MAX:
            log.warning("the file of numbers holds none; the clock decides", file=str(self._path))
            return 0
        return int(text)

    def _reserve(self, number: int) -> None:
        self._reserved = number + _BLOCK
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with files.replacing(self._path) as file:
                file.write(b"%d\n" % self._reserved)
        except OSError as error:
            log.warning("numbers cannot be reserved; the clock decides", file=str(self._path), reason=error.strerror)
