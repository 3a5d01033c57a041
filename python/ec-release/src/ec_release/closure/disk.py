"""The bytes of every path, hashed anew: a manifest says what was seen, not what the database believes."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING

from ec_closure.content_address import ContentAddress, recompute
from ec_closure.errors import LocalError
from ec_closure.nar.hash import hash_path
from ec_closure.store_path import StorePath
from ec_release.closure.errors import DamagedStoreError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ec_closure.store_db import PathInfo
    from ec_release.closure.location import Location

_WORTH_A_POOL = 32 << 20


def check(location: Location, infos: Sequence[PathInfo]) -> None:
    """Read every path and compare it with its database row, and its content address with its name.

    Largest first, in all cores where there is enough to read. Raises `DamagedStoreError` for the first difference, and
    what reading a tree raises; `LocalError` when a process of ours was killed.
    """
    work = [(location.physical(info.path), info) for info in sorted(infos, key=lambda info: -info.nar_size)]
    workers = os.cpu_count() or 1
    if workers == 1 or sum(info.nar_size for info in infos) < _WORTH_A_POOL:
        for item in work:
            _check(item)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        try:
            for future in [pool.submit(_check, item) for item in work]:
                future.result()
        except BrokenProcessPool as error:
            raise LocalError(
                "a process that hashes the store was killed", hint="look for lack of memory in the kernel's log"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _check(item: tuple[Path, PathInfo]) -> None:
    tree, info = item
    if not os.path.lexists(tree):
        raise DamagedStoreError("registered, but not there", place=info.path, hint="build it again")
    found = hash_path(tree)
    if (found.hash, found.size) != (info.nar_hash, info.nar_size):
        raise DamagedStoreError(
            f"holds {found.hash.sri} where the database says {info.nar_hash.sri}",
            place=info.path,
            hint="find out who changed it, then `nix-store --repair-path`; nothing was described",
        )
    if info.ca is None:
        return
    name = StorePath.parse(info.path).name
    deserved = recompute(tree, ContentAddress.parse(info.ca), name, info.references, own_path=info.path)
    if deserved != info.path:
        raise DamagedStoreError(
            "its bytes are not those that its name promises",
            place=info.path,
            hint=f"they belong at {deserved}; the row was edited",
        )
