"""Files below a directory that is trusted, read without being led elsewhere.

Every step is opened relative to the one before, and none may be a symbolic link: what lies on foreign media, or was
written by a program that is not root, must not make root read another file.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ec_provision.errors import SourceFileError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_CHUNK = 1 << 16


@contextmanager
def directory(top: Path, path: str, *, create: bool = False) -> Iterator[int]:
    """Yield a descriptor of the directory *path* below *top*. With *create* it is made (mode 0755) where it is missing.

    Links above *top* and *top* itself are followed: its name is ours. Raises `OSError`.
    """
    descriptor = os.open(top, _DIRECTORY)
    try:
        for step in PurePosixPath(path).parts:
            made = create and _make(step, descriptor)
            following = os.open(step, _DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = following
            if made:
                os.fchmod(descriptor, 0o755)
        yield descriptor
    finally:
        os.close(descriptor)


def _make(name: str, descriptor: int) -> bool:
    try:
        os.mkdir(name, 0o700, dir_fd=descriptor)
    except FileExistsError:
        return False
    return True


def read(top: Path, path: str, *, limit: int, owned: bool = False) -> tuple[bytes, int] | None:
    """Return bytes and mode of the regular file *path* below *top*, None when there is no such name.

    With *owned*, only root (or who runs this) may be able to write it or to put another in its place. Raises
    `SourceFileError` for what is no such file or larger than *limit* bytes, `UnreadableError` for what the system says.
    """
    parent, _, name = path.rpartition("/")
    shown = str(top / path)
    try:
        with directory(top, parent) as descriptor:
            return _read(descriptor, name, shown, limit=limit, owned=owned)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _explained(error, shown) from error


def exists(top: Path, path: str) -> bool:
    """Tell whether there is anything called *path* below *top*, whatever it is."""
    parent, _, name = path.rpartition("/")
    try:
        with directory(top, parent) as descriptor:
            os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return False
    return True


def _read(descriptor: int, name: str, shown: str, *, limit: int, owned: bool) -> tuple[bytes, int]:
    # Non-blocking: a FIFO where a file is expected must not stop the boot.
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise SourceFileError("is no regular file", place=shown)
        if owned:
            _check_owner(status, shown)
            _check_owner(os.fstat(descriptor), shown.rpartition("/")[0])
        data = bytearray()
        while chunk := os.read(opened, _CHUNK):
            data += chunk
            if len(data) > limit:
                raise SourceFileError(f"is larger than the {limit} bytes that are accepted", place=shown)
        return bytes(data), stat.S_IMODE(status.st_mode)
    finally:
        os.close(opened)


def _check_owner(status: os.stat_result, shown: str) -> None:
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & _OTHERS_WRITE:
        raise SourceFileError(
            "others than root can write it, and so decide who enters as root",
            place=shown,
            hint="chown root and chmod go-w, after a look at what it says",
        )


def _explained(error: OSError, shown: str) -> SourceFileError | UnreadableError:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return SourceFileError("is, or lies behind, a symbolic link or something that is no directory", place=shown)
    if error.errno == errno.ENXIO:
        return SourceFileError("is no regular file", place=shown)
    return UnreadableError(f"cannot be read: {error.strerror}", place=shown, hint="check the medium it lies on")
