"""Hashing a store: bytes and metadata in one pass, beside Nix, which looks at bytes alone, and beside hashlib."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.bench.harness import Way, compare, program
from tests.bench.store import large

from ec_closure.store_db import StoreDatabase
from ec_verify.observation import tasks
from ec_verify.scan.metadata import Owner
from ec_verify.scan.pool import look_at_all

if TYPE_CHECKING:
    from pathlib import Path

_BUFFER = 256 << 10


def case(directory: Path, rounds: int) -> str:
    """Return the figures. The floor hashes a share of as many bytes, which need not be read."""
    store = large(directory)
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
    files = sum(len(names) for _, _, names in os.walk(store.store_dir))

    def floor() -> None:
        hasher, block = hashlib.sha256(), bytes(_BUFFER)
        for _ in range(size // _BUFFER // len(os.sched_getaffinity(0))):
            hasher.update(block)

    nix = "nix store verify --all --no-trust"
    return compare(
        f"First scan of {len(rows)} paths, {files} files, {size >> 20} MiB",
        [
            Way("ec-verify's scan, with metadata", lambda: scan(metadata=True)),
            Way("ec-verify's scan, bytes only", lambda: scan(metadata=False)),
            Way("floor: hashlib over a share of as many bytes", floor),
            Way(nix, program(*nix.split(), env=store.env)),
        ],
        rounds=rounds,
        targets={nix: 1.0},
    )
