"""Hashing a store: bytes and metadata in one pass, beside Nix, which looks at bytes alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench.harness import Way, compare, program
from tests.bench.store import Store

from ec_closure.store_db import StoreDatabase
from ec_verify.location import StoreLocation
from ec_verify.observation import tasks
from ec_verify.scan.metadata import Owner
from ec_verify.scan.pool import look_at_all

if TYPE_CHECKING:
    from pathlib import Path


def case(directory: Path, rounds: int) -> str:
    """Return the figures."""
    store = Store(directory / "nix")
    location = StoreLocation(store_dir=store.store_dir, state_dir=store.state_dir)

    def scan(*, metadata: bool) -> None:
        with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
            rows = database.all_infos()
        todo = tasks(location, rows, (), Owner.of(location.store.stat()))
        if not metadata:
            from dataclasses import replace

            todo = [replace(task, owner=None) for task in todo]
        found = look_at_all(todo)
        wrong = [path for path, seen in found.items() if seen.nar_hash != rows[path].nar_hash.sri or seen.anomalies]
        if wrong:
            raise RuntimeError(f"{len(wrong)} paths were not as Nix made them, the first {wrong[0]}")

    size = sum(row.nar_size for row in _rows(location).values())
    return compare(
        f"First scan of {len(store.paths)} paths, {size >> 20} MiB",
        [
            Way("ec-verify's scan, with metadata", lambda: scan(metadata=True)),
            Way("ec-verify's scan, bytes only", lambda: scan(metadata=False)),
            Way(
                "nix store verify --all --no-trust",
                program("nix", "store", "verify", "--all", "--no-trust", env=store.env),
            ),
        ],
        rounds=rounds,
    )


def _rows(location: StoreLocation) -> dict[str, object]:
    with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
        return database.all_infos()
