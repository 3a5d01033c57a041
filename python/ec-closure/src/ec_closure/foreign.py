"""Files in a directory that somebody writes to who is trusted less than the reader.

Names there may be links to elsewhere, pipes that never end, or files without end; they may change while they are read.
What is read is bytes and nothing more: verify them before anything else is done with them.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ec_closure.errors import LocalError

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Nobody is waited for: not at a pipe without a writer, nor at a file that somebody holds a lease on.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ForeignFileError(LocalError):
    """Something else lies where another process should have left a file."""

    code = "foreign-file"


def read(directory: Path, name: str, limit: int) -> bytes | None:
    """Return the file *name* (``part/part``) in *directory*, None where it or the directory does not exist.

    No link below *directory* is followed; *directory* itself may be one, for whoever named it is believed. Raises
    `ForeignFileError` for what is no regular file of the directory's owner, has more than *limit* bytes, or cannot be
    read. Messages quote nothing of what was read.
    """
    place = str(directory / name)
    *parents, last = name.split("/")
    opened: list[int] = []
    try:
        opened.append(os.open(directory, _DIRECTORY))
        owner = os.fstat(opened[0]).st_uid
        for parent in parents:
            opened.append(os.open(parent, _DIRECTORY | os.O_NOFOLLOW, dir_fd=opened[-1]))
        opened.append(os.open(last, _FILE, dir_fd=opened[-1]))
        return _read(opened[-1], owner, limit, place)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ForeignFileError((error.strerror or str(error)).lower(), place=place) from error
    finally:
        for descriptor in reversed(opened):
            os.close(descriptor)


def _read(descriptor: int, owner: int, limit: int, place: str) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ForeignFileError("is no regular file", place=place)
    if status.st_uid != owner:
        # A hard link to somebody else's file: what it holds is none of this directory's business.
        raise ForeignFileError("belongs to somebody else than its directory", place=place, hint="see who owns it")
    data = bytearray()
    while len(data) <= limit and (piece := os.read(descriptor, min(1 << 20, limit + 1 - len(data)))):
        data += piece
    if len(data) > limit:
        raise ForeignFileError(f"more than the {limit} bytes that are accepted", place=place)
    return bytes(data)
