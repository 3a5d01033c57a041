"""Keeping the garbage collector away from what is being examined.

Nix's own way: a file of temporary roots named by process id, with a shared lock on it while they
count. It is written from outside the ghost, because process ids inside are not those of the host
and the host's collector would take the file for a stale one. Sources: pitfalls P42, P45; the file
holds NUL-ended store paths in all versions from 2.8 on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ec_verify.location import StoreLocation

_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW
# Seconds to wait for a collection that is under way; after that the run goes on without roots and says so.
_PATIENCE = 60.0


@contextmanager
def temporary_roots(location: StoreLocation, paths: Iterable[str]) -> Iterator[str | None]:
    """Root *paths* while the block runs. Yields None, or the reason why they could not be rooted.

    Waits for a collection that is under way. Writes one file into the state directory's
    `temproots` and removes it again; nothing else of the store is touched.
    """
    try:
        collector = os.open(location.state / "gc.lock", os.O_RDWR | os.O_CREAT | _SAFELY, 0o600)
        try:
            _share(collector)
            directory, roots = _write(location.state / "temproots", paths)
        finally:
            os.close(collector)
    except OSError as error:
        yield f"no temporary roots: {error.strerror} ({error.filename or location.state})"
        return
    try:
        yield None
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(str(os.getpid()), dir_fd=directory)
        os.close(roots)
        os.close(directory)


def _share(collector: int) -> None:
    """Wait, for a while, until no collection is under way; others than a collector may hold the lock as well."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(collector, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _write(place: Path, paths: Iterable[str]) -> tuple[int, int]:
    """Write the roots into the directory *place*; whoever put a link there must not choose what is overwritten."""
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | _SAFELY)
    try:
        name = str(os.getpid())
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
        roots = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600, dir_fd=directory)
        try:
            with os.fdopen(os.dup(roots), "wb") as file:
                file.write(b"".join(path.encode() + b"\0" for path in paths))
            fcntl.flock(roots, fcntl.LOCK_SH)
        except BaseException:
            os.close(roots)
            raise
    except BaseException:
        os.close(directory)
        raise
    return directory, roots
