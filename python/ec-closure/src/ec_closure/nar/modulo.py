"""Hashing a NAR that contains its own store path: Nix's "hash modulo" (pitfall P6).

The path depends on the hash and the hash on the path, so the path's hash part is replaced by zeroes before hashing. Nix
then adds the position of each replacement, except in 2.17 to 2.34, where a mistake left the positions out: the same
bytes have two valid content addresses, and only the version that made them tells which. This sink computes both at
once.
"""

from __future__ import annotations

import hashlib

from ec_closure.hashes import Hash


class ModuloHasher:
    """Hashes a stream with every occurrence of *hash_part* zeroed. Feed it with `update`."""

    def __init__(self, hash_part: str) -> None:
        self._needle = hash_part.encode()
        self._zeroes = bytes(len(self._needle))
        self._hasher = hashlib.sha256()
        self._held = b""
        self._position = 0
        self._matches: list[int] = []

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        window = self._held + data
        found = window.find(self._needle)
        if found >= 0:
            while found >= 0:
                self._matches.append(self._position + found)
                found = window.find(self._needle, found + len(self._needle))
            window = window.replace(self._needle, self._zeroes)
        # The last bytes may be the beginning of an occurrence.
        keep = max(0, len(window) - len(self._needle) + 1)
        self._hasher.update(window[:keep])
        self._held = window[keep:]
        self._position += keep

    def finish(self) -> tuple[Hash, Hash]:
        """Return the hash with positions (Nix up to 2.16, and from 2.35) and the one without (2.17 to 2.34)."""
        self._hasher.update(self._held)
        without = Hash("sha256", self._hasher.digest())
        for position in self._matches:
            self._hasher.update(b"|%d" % position)
        return Hash("sha256", self._hasher.digest()), without
