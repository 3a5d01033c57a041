"""Hashing a store: bytes and metadata in one pass, beside Nix, which looks at bytes alone, and beside hashlib."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.bench import floor
from tests.bench.harness import Way, compare, program
from tests.bench.store import large

from ec_closure.store_db import StoreDatabase
from ec_verify.observation import tasks
from ec_verify.scan.metadata import Owner
from ec_verify.scan.pool import look_at_all

if TYPE_CHECKING:
    from pathlib import Path


def case(directory: Path, rounds: int) -> str:
    """Return the figures. The floor reads and hashes the same files, in as many processes, and nothing else."""
    store = large(directory.parent)
    location = store.location
    with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
        rows = database.all_infos()

    def scan(*, metadata: bool) -> None:
        todo = tasks(location, rows, (), Owner.of(location.store.stat()))
        found = look_at_all(todo if metadata else [replace(task, owner=None) for task in todo])
        wrong = [path for path, seen in found.items() if seen.nar_hash != rows[path].nar_hash.sri or seen.anomalies]
        if wrong:
            raise RuntimeError(f"{len(wrong)} paths were not as Nix made them, the first {wrong[0]}")

    size = sum(row.nar_size for row in rows.values())
    files = [os.path.join(top, name).encode() for top, _, names in os.walk(store.store_dir) for name in names]  # noqa: PTH118
    regular = sorted((name for name in files if not os.path.islink(name)), key=os.path.getsize)  # noqa: PTH114
    workers = len(os.sched_getaffinity(0))
    shares = [regular[number::workers] for number in range(workers)]

    def bare() -> None:
        argv = [sys.executable, "-I", "-S", "-B", floor.__file__]
        helpers = [subprocess.Popen(argv, stdin=subprocess.PIPE) for _ in shares[1:]]
        for helper, share in zip(helpers, shares[1:], strict=True):
            with helper.stdin as to:  # type: ignore[union-attr]
                to.write(b"\0".join(share))
        floor.hash_all(shares[0])
        if any(helper.wait() for helper in helpers):
            raise RuntimeError("a file was not hashed")

    nix = "nix store verify --all --no-trust"
    return compare(
        f"First scan of {len(rows)} paths, {len(files)} files, {size >> 20} MiB",
        [
            Way("ec-verify's scan, with metadata", lambda: scan(metadata=True)),
            Way("ec-verify's scan, bytes only", lambda: scan(metadata=False)),
            Way("floor: the same files through hashlib, in as many processes", bare),
            Way(nix, program(*nix.split(), env=store.env)),
        ],
        rounds=rounds,
        targets={nix: 1.0},
    )
