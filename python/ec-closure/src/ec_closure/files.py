"""Files that are whole or not there: written aside, flushed to disk, renamed."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

_ASIDE = re.compile(r"\..+\.[a-z0-9_]{8}")  # what `tempfile` makes of a prefix


@contextmanager
def replacing(path: Path, *, mode: int = 0o600, aside: Path | None = None) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of *path* when the block ends well, and vanishes when it does not.

    It is written in the directory *aside*, on the same file system; beside *path* when none is given. Raises `OSError`.
    """
    descriptor, name = tempfile.mkstemp(dir=aside or path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def open_regular(path: Path) -> BinaryIO:
    """Open the regular file *path* for reading: never through a link at its end, and without waiting for anybody.

    Raises `OSError`, also for what is no regular file; a descriptor that was open by then is closed (`os.fdopen` keeps
    that of a directory).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "no regular file", str(path))


def sweep(directory: Path) -> None:
    """Remove what `replacing` left in *directory* when it was killed. Nobody else may write there. Raises `OSError`."""
    for file in directory.glob(".*"):
        if _ASIDE.fullmatch(file.name) and not file.is_dir():
            file.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Flush the names in the directory *path* to disk."""
    sync(path, os.O_RDONLY | os.O_DIRECTORY)


def sync(path: Path, flags: int = os.O_RDONLY) -> None:
    """Flush *path* to disk."""
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
