"""Keeping the garbage collector away from what is being examined.

Nix's own way: a file of temporary roots named by process id, with a shared lock on it while they
count. It is written from outside the ghost, because process ids inside are not those of the host
and the host's collector would take the file for a stale one. Sources: pitfalls P42, P45; the file
holds NUL-ended store paths in all versions from 2.8 on.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ec_verify.location import StoreLocation


@contextmanager
def temporary_roots(location: StoreLocation, paths: Iterable[str]) -> Iterator[str | None]:
    """Root *paths* while the block runs. Yields None, or the reason why they could not be rooted.

    Waits for a collection that is under way. Writes one file into the state directory's
    `temproots` and removes it again; nothing else of the store is touched.
    """
    directory = location.state / "temproots"
    name = directory / str(os.getpid())
    try:
        collector = os.open(location.state / "gc.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(collector, fcntl.LOCK_SH)
            roots = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(os.dup(roots), "wb") as file:
                file.write(b"".join(path.encode() + b"\0" for path in paths))
            fcntl.flock(roots, fcntl.LOCK_SH)
        finally:
            os.close(collector)
    except OSError as error:
        yield f"no temporary roots: {error.strerror} ({error.filename})"
        return
    try:
        yield None
    finally:
        name.unlink(missing_ok=True)
        os.close(roots)
