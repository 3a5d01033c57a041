"""Putting the tree of a NAR on disk, in the form that a store has it: read-only, every time 1.

Names come from strangers. Each is created below an open directory, never through a path, and never where something
already is, so that no symlink of the archive is ever followed.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, BinaryIO, Final

from ec_closure.nar import reader
from ec_closure.nar.directories import OPEN_DIRECTORY, DirectoryStack
from ec_closure.nar.errors import TreeError, from_os_error, printable
from ec_closure.nar.remove import remove_tree

if TYPE_CHECKING:
    from pathlib import Path

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MTIME_NS: Final = (10**9, 10**9)


def restore(stream: BinaryIO, destination: Path, limits: reader.NarLimits = reader.DEFAULT_LIMITS) -> None:
    """Write the tree that *stream* holds as *destination*, which must not exist yet; its parent must.

    Files get mode 0444 or 0555, directories 0555, everything the modification time 1. The tree is written under
    another name beside *destination* and renamed when the archive was read to its end, so that *destination* is all or
    nothing; when anything fails, what was written is removed.

    Raises `NarError` for a malformed archive, `TreeError` when it cannot be written, and what reading *stream* raises.
    Not checked: any hash. Not done: flushing to disk, for trees made here are scratch or can be had again.
    """
    place = printable(os.fsencode(destination))
    if os.path.lexists(destination):
        raise TreeError("already exists", place=place, hint="choose another destination")
    try:
        parent = os.open(destination.parent, OPEN_DIRECTORY & ~os.O_NOFOLLOW)
    except OSError as error:
        raise from_os_error(error, printable(os.fsencode(destination.parent)), listed=False) from error
    temporary = b".restore-" + secrets.token_hex(8).encode()
    try:
        _Restorer(parent, temporary, place).write(stream, limits)
        _rename(parent, temporary, os.fsencode(destination.name), place)
    except BaseException:
        _remove_if_there(parent, temporary)
        raise
    finally:
        os.close(parent)


def _rename(parent: int, temporary: bytes, name: bytes, place: str) -> None:
    try:
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as error:
        raise from_os_error(error, place, listed=False) from error


def _remove_if_there(parent: int, name: bytes) -> None:
    try:
        os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return
    remove_tree(parent, name)


class _Restorer:
    """Creates what the events of one archive tell."""

    def __init__(self, parent: int, name: bytes, place: str) -> None:
        self._parent = parent
        self._name = name
        self._place = place
        self._trail: list[bytes] = []
        self._stack = DirectoryStack()
        self._file = -1
        self._missing = 0

    def write(self, stream: BinaryIO, limits: reader.NarLimits) -> None:
        """Read *stream* to its end and create all that is in it."""
        try:
            for event in reader.read(stream, limits):
                try:
                    self._create(event)
                except OSError as error:
                    place = printable(b"/".join([os.fsencode(self._place), *self._trail[1:]]))
                    raise from_os_error(error, place, listed=False) from error
        finally:
            self._stack.close()
            if self._file >= 0:
                os.close(self._file)

    def _create(self, event: reader.Event) -> None:
        above = self._stack.fd if self._stack else self._parent
        match event:
            case reader.Entry(name):
                self._name = name
            case reader.Regular(executable, size):
                self._file = os.open(self._name, _CREATE, 0o600, dir_fd=above)
                os.fchmod(self._file, 0o555 if executable else 0o444)
                self._missing = size
                self._end_of_file()
            case reader.Chunk(data):
                self._missing -= len(data)
                self._append(data)
                self._end_of_file()
            case reader.Symlink(target):
                os.symlink(target, self._name, dir_fd=above)
                os.utime(self._name, ns=_MTIME_NS, dir_fd=above, follow_symlinks=False)
            case reader.DirectoryOpen():
                os.mkdir(self._name, 0o700, dir_fd=above)
                fd = os.open(self._name, OPEN_DIRECTORY, dir_fd=above)
                self._stack.push(fd, os.fstat(fd))
                self._trail.append(self._name)
            case reader.DirectoryClose():
                os.fchmod(above, 0o555)
                os.utime(above, ns=_MTIME_NS)
                self._trail.pop()
                if not self._stack.pop():
                    raise TreeError("someone else moved a directory while it was written", place=self._place)

    def _append(self, data: bytes) -> None:
        written = os.write(self._file, data)
        while written < len(data):
            written += os.write(self._file, memoryview(data)[written:])

    def _end_of_file(self) -> None:
        if not self._missing:
            os.utime(self._file, ns=_MTIME_NS)
            os.close(self._file)
            self._file = -1
