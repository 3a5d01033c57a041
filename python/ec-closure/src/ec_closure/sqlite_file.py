"""Opening a SQLite database that belongs to someone else: for reading only, whatever state it was left in.

A database in WAL mode is more than one file, and a reader needs either write access beside it or files that a writer
left (pitfall P35). Three ways are tried, the most faithful first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
import stat
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

_WAIT_SECONDS: Final = 10.0
_COPY_ATTEMPTS: Final = 5
_MAX_VALUE: Final = 16 << 20
_LOGS: Final = ("-wal", "-journal")
_BESIDE: Final = (*_LOGS, "-shm")
# O_NONBLOCK: a fifo in the place of a file would be waited for until somebody writes.
_OPEN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEEDS_WRITING: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})


def open_read_only(path: Path, cleanup: contextlib.ExitStack) -> sqlite3.Connection:
    """Open the database at *path*; *cleanup* closes it.

    1. ``mode=ro``: sees what a live writer commits. As root this may leave an empty ``-wal`` and a ``-shm`` beside the
       database, as any reader of a WAL database does.
    2. If SQLite would have to write for that (a read-only medium, another user's directory) and there is no log with
       content, ``immutable=1``: the file alone is the whole database.
    3. If there is a log with content, a private copy of database and log, on which SQLite can finish what the log
    holds.

    The schema is not trusted: none of its functions run, and a value has at most 16 MiB, for a damaged one may lead in
    a circle and have no end. What is no regular file is refused before SQLite opens it; SQLite opens by name, so that
    a swap in between is not noticed. Raises `sqlite3.Error` and `OSError`, and, for files that mislead SQLite,
    `MemoryError` or `UnicodeDecodeError`.
    """
    os.close(open_file(path))  # gives the plain reason where SQLite only says "unable to open"
    for suffix in _BESIDE:
        _refuse_other_kinds(path.with_name(path.name + suffix))
    try:
        return _connect(path, "mode=ro", cleanup)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _NEEDS_WRITING:
            raise
    if not any(_has_content(log) for log in _logs(path)):
        return _connect(path, "mode=ro&immutable=1", cleanup)
    return _connect(_private_copy(path, cleanup), "mode=rw", cleanup)


def size_of(path: Path) -> int:
    """Return the bytes of the database at *path* with its log. Raises `OSError`."""
    sizes = [path.stat().st_size]
    for log in _logs(path):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(log.stat().st_size)
    return sum(sizes)


def open_file(path: Path) -> int:
    """Open a regular file for reading and return its descriptor; never waits, follows no symlink at *path*.

    Raises `OSError`, also for what is no regular file.
    """
    try:
        fd = os.open(path, _OPEN_FILE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _irregular(path) from error
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise _irregular(path)
    return fd


def _refuse_other_kinds(path: Path) -> None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise _irregular(path)


def _irregular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "not a regular file", str(path))


def _connect(path: Path, options: str, cleanup: contextlib.ExitStack) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{options}", uri=True, timeout=_WAIT_SECONDS, isolation_level=None
    )
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        # What SQLite's authors advise for files of strangers: look at cells before using them, and read, not map.
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA mmap_size = 0")
        # Nothing was opened so far: SQLite reads the file, and finds out whether it can, with the first query.
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    cleanup.callback(connection.close)
    return connection


def _logs(path: Path) -> list[Path]:
    return [path.with_name(path.name + suffix) for suffix in _LOGS]


def _has_content(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def _private_copy(path: Path, cleanup: contextlib.ExitStack) -> Path:
    """Copy the database with its logs, all of one moment."""
    directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="store-database-")))
    files = [path, *_logs(path)]
    for _ in range(_COPY_ATTEMPTS):
        before = [_state(file) for file in files]
        for file in files:
            if file.exists():
                shutil.copyfile(file, directory / file.name)
            else:
                (directory / file.name).unlink(missing_ok=True)
        if before == [_state(file) for file in files]:
            return directory / path.name
    raise sqlite3.OperationalError("it is written to faster than it can be copied")


def _state(file: Path) -> tuple[int, int, int] | None:
    if not file.exists():
        return None
    stat = file.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
