"""The number of the next segment, which never goes back: not over a restart, a crash, or a clock that was set back.

Numbers are reserved in blocks, on disk, before they are used; a run that is killed leaves a gap. Where nothing is left
of earlier runs (a node without a disk), the clock gives a number above all that they can have used: what is live is not
published faster than time goes by.

Discontinuities are numbered, too. Those numbers are kept small, by minutes and short blocks: hls.js walks
through an array that is as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from ec_closure import files

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 1000
_AHEAD = 100
_CUTS = 16
_EPOCH = 1_767_225_600  # the beginning of 2026
_MAX = 2**53

log = structlog.get_logger()


class Sequence:
    """The numbers of one broadcast, kept in the file *path*. A disk that takes nothing is logged, and survived."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserved = 0
        self._cuts = 0

    def first(self, wall: float, segment: int) -> tuple[int, int]:
        """Return the first number of this run, and of its discontinuities.

        *wall* is the time, *segment* the seconds of a segment at least.
        """
        number, cuts = self._read()
        number, cuts = max(number, int(wall) // segment, 0), max(cuts, (int(wall) - _EPOCH) // 60, 0)
        self._reserve(number, cuts)
        return number, cuts

    def used(self, number: int, cuts: int) -> None:
        """Say that *number* is about to be used, and so many discontinuities at most."""
        if number + _AHEAD >= self._reserved or cuts + 1 >= self._cuts:
            self._reserve(number, cuts)

    def _read(self) -> tuple[int, int]:
        try:
            with files.open_regular(self._path) as file:
                words = file.read(64).split()
        except FileNotFoundError:
            return 0, 0
        except OSError as error:
            log.warning("the numbers of earlier runs cannot be read", file=str(self._path), reason=error.strerror)
            return 0, 0
        if len(words) != 2 or not all(word.isdigit() and int(word) < _MAX for word in words):  # noqa: PLR2004 - of each kind one
            log.warning("the file of numbers holds none; the clock decides", file=str(self._path))
            return 0, 0
        return int(words[0]), int(words[1])

    def _reserve(self, number: int, cuts: int) -> None:
        self._reserved, self._cuts = number + _BLOCK, cuts + _CUTS
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with files.replacing(self._path) as file:
                file.write(b"%d %d\n" % (self._reserved, self._cuts))
        except OSError as error:
            log.warning("numbers cannot be reserved; the clock decides", file=str(self._path), reason=error.strerror)
