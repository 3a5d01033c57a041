"""Looking for references in bytes, as Nix does: 32 characters of its base-32 that are a known path's hash part.

Nix finds what a path refers to by reading the archive of its bytes (libstore/references.cc): a hash part anywhere is a
reference, with or without the rest of the path. It looks for the paths that a build was given and for the outputs
themselves, and for no others.

Bytes are turned into "in the alphabet or not" by one `bytes.translate`, in which a run of 32 is then found by
`bytes.find`: some 700 MB/s, where a regular expression reaches 85.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ec_closure import nix32
from ec_closure.store_path import HASH_PART_LENGTH

if TYPE_CHECKING:
    from collections.abc import Collection

_IN, _OUT = b"\1", b"\0"
_CLASSES: Final = bytes(1 if chr(byte) in nix32.ALPHABET else 0 for byte in range(256))
_RUN: Final = _IN * HASH_PART_LENGTH
_KEEP: Final = HASH_PART_LENGTH - 1
_ENOUGH: Final = 256 * 1024
# Longer runs are no words: there it is quicker to look for each candidate.
_LONG: Final = 1 << 16


class ReferenceScanner:
    """Finds which of *candidates* (hash parts) occur in a stream. Feed it with `update`, then ask `finish`.

    Memory is that of a quarter of a megabyte and of the largest piece that it is fed. Not checked: whether what
    follows a hash part is the name of that path.
    """

    def __init__(self, candidates: Collection[str]) -> None:
        self._left = {candidate.encode() for candidate in candidates}
        self._found: set[bytes] = set()
        self._pieces: list[bytes] = []
        self._size = 0

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        self._pieces.append(bytes(data))
        self._size += len(data)
        if self._size >= _ENOUGH:
            self._scan()

    def finish(self) -> frozenset[str]:
        """Return the candidates that occurred."""
        self._scan()
        return frozenset(found.decode() for found in self._found)

    def _scan(self) -> None:
        data = b"".join(self._pieces)
        # A hash part may begin in the last bytes of this piece.
        self._pieces = [data[-_KEEP:]]
        self._size = len(self._pieces[0])
        if not self._left:
            return
        classes = data.translate(_CLASSES)
        start = classes.find(_RUN)
        while start >= 0:
            end = classes.find(_OUT, start + HASH_PART_LENGTH)
            end = len(data) if end < 0 else end
            self._look(data, start, end)
            start = classes.find(_RUN, end)

    def _look(self, data: bytes, start: int, end: int) -> None:
        """Look at a run of characters of the alphabet."""
        if end - start > _LONG and len(self._left) < _KEEP:
            hits = {candidate for candidate in self._left if data.find(candidate, start, end) >= 0}
        else:
            windows = (data[at : at + HASH_PART_LENGTH] for at in range(start, end - _KEEP))
            hits = {window for window in windows if window in self._left}
        self._found |= hits
        self._left -= hits
