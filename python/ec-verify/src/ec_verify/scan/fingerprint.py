"""What a tree's metadata say about whether it was written to since: one digest, one system call an entry.

The kernel sets an entry's change time (ctime) at every write, chmod, chown, link and setxattr, and lets nobody set it
back. So a tree whose entries have the inodes, modes, owners, sizes and times that they had when it was last read holds
the bytes that were read then. Not seen: what is written to the block device below the file system, and a write under a
clock that was set back (`ec_verify.memory.clock` looks for that).
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.nar.directories import OPEN_DIRECTORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.nar.inspect import Inspector

MAX_ENTRIES = 250_000
"""Of one path; larger ones are read every time, for a fingerprint in the making takes some 150 bytes an entry."""
_RECORD = struct.Struct("<QIIIQqqQ").pack


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """*digest* is the SHA-256 over one record an entry; *newest* the latest change time among them, in ns."""

    digest: bytes
    entries: int
    newest: int


class Gatherer:
    """Takes the fingerprint in the pass that hashes: no gap between what was read and what is remembered."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._newest = 0
        self._device: int | None = None
        self._fit = True

    def beside(self, other: Inspector | None) -> Inspector:
        """Return an inspector for `ec_closure.nar.dump` that calls *other* first."""

        def inspect(relative: bytes, status: os.stat_result, fd: int | None, link: tuple[int, bytes] | None) -> None:
            if other is not None:
                other(relative, status, fd, link)
            self.add(relative, status)

        return inspect

    def add(self, relative: bytes, status: os.stat_result) -> None:
        """Take the next entry, in any order."""
        changed = status.st_ctime_ns
        if self._device is None:
            self._device = status.st_dev
        if not self._fit or status.st_dev != self._device or len(self._records) >= MAX_ENTRIES:
            # Another file system inside a path, or too many entries: no promise can be made.
            self._fit = False
            self._records.clear()
            return
        try:
            record = _RECORD(
                status.st_ino,
                status.st_mode,
                status.st_uid,
                status.st_gid,
                status.st_size,
                status.st_mtime_ns,
                changed,
                status.st_dev,
            )
        except struct.error:  # a time beyond the year 2262
            self._fit = False
            return
        self._newest = max(self._newest, changed)
        self._records.append(record + relative)

    def finish(self) -> Fingerprint | None:
        """Return the fingerprint of all that was taken; None when there can be none."""
        if not self._fit or not self._records:
            return None
        return _digest(self._records, self._newest)


def fingerprint(root: str) -> Fingerprint | None:
    """Return the fingerprint of the tree at *root* as it is now; None when it cannot be had: then it must be read.

    Nothing below is opened but directories. Never raises for what lies on the disk.
    """
    try:
        return _walk(root)
    except (OSError, struct.error):
        return None


def _walk(path: str) -> Fingerprint | None:
    """Do what a `Gatherer` does, leanly: no calls and few objects an entry."""
    status = os.lstat(path)
    device, newest = status.st_dev, status.st_ctime_ns
    records = [
        _RECORD(
            status.st_ino,
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_size,
            status.st_mtime_ns,
            newest,
            device,
        )
    ]
    if not stat.S_ISDIR(status.st_mode):
        return _digest(records, newest)
    add = records.append
    with _opened(path, OPEN_DIRECTORY) as root:
        waiting = [b""]
        while waiting:
            prefix = waiting.pop()
            # Names of several parts may lead through a link that was put there just now. What lies behind it has
            # other inodes or change times, or it is the same.
            with _opened(prefix or b".", OPEN_DIRECTORY, root) as directory, os.scandir(directory) as listing:
                for entry in listing:
                    status = entry.stat(follow_symlinks=False)
                    changed = status.st_ctime_ns
                    if changed > newest:  # noqa: PLR1730 - a call of max() here costs a tenth of the walk
                        newest = changed
                    if status.st_dev != device:
                        return None
                    relative = prefix + os.fsencode(entry.name)
                    add(
                        _RECORD(
                            status.st_ino,
                            status.st_mode,
                            status.st_uid,
                            status.st_gid,
                            status.st_size,
                            status.st_mtime_ns,
                            changed,
                            device,
                        )
                        + relative
                    )
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(relative + b"/")
            if len(records) > MAX_ENTRIES:
                return None
    return _digest(records, newest)


def _digest(records: list[bytes], newest: int) -> Fingerprint:
    # Sorted: in what order a directory lists its entries is the file system's affair.
    records.sort()
    # A place ends with a zero, which no name holds, and what stands before it has one length: only one way to read it.
    digest = hashlib.sha256(b"\0".join(records))
    return Fingerprint(digest.digest(), len(records), newest)


@contextmanager
def _opened(name: str | bytes, flags: int, parent: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, flags, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
