"""The hashes that Nix knows a tree by."""

from __future__ import annotations

import os
import stat as mode_bits
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ec_closure import hashes
from ec_closure.hashes import Hash
from ec_closure.nar.dump import dump
from ec_closure.nar.errors import TreeError, changed, from_os_error, printable

if TYPE_CHECKING:
    from pathlib import Path

    from ec_closure.nar.inspect import Inspector

_BUFFER: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class NarHash:
    """What a store knows about a path's bytes: the hash of its NAR (SHA-256), and the NAR's size in bytes."""

    hash: Hash
    size: int


def hash_path(
    root: Path, inspect: Inspector | None = None, *, algorithm: str = "sha256", limit: int = sys.maxsize
) -> NarHash:
    """Hash the NAR of the tree at *root*. Raises as `ec_closure.nar.dump.dump` does."""
    hasher = hashes.new(algorithm)
    size = dump(root, hasher.update, inspect, limit=limit)
    return NarHash(Hash(algorithm, hasher.digest()), size)


def hash_flat(file: Path, algorithm: str) -> Hash:
    """Hash the content of one regular file, as flat fixed outputs and ``text:`` paths are.

    Raises `TreeChangedError` when it changes meanwhile, `TreeError` when it cannot be read or is no regular file (a
    symlink is none). Not checked: its execute bit, which a flat hash does not cover.
    """
    hasher = hashes.new(algorithm)
    place = printable(os.fsencode(file))
    try:
        fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            before = os.fstat(fd)
            if not mode_bits.S_ISREG(before.st_mode):
                raise TreeError("not a regular file", place=place)
            buffer = memoryview(bytearray(min(_BUFFER, before.st_size + 1)))
            size = 0
            while count := os.readv(fd, [buffer]):
                hasher.update(buffer[:count])
                size += count
            after = os.fstat(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise from_os_error(error, place, listed=False) from error
    if size != before.st_size or (before.st_mtime_ns, before.st_ctime_ns) != (after.st_mtime_ns, after.st_ctime_ns):
        raise changed(place, "it was written to")
    return Hash(algorithm, hasher.digest())
