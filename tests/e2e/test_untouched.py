"""A verifier that writes to what it verifies proves nothing: the store is compared bit by bit."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ec_closure.nar.hash import hash_path
from ec_closure.store_db import StoreDatabase
from ec_verify.main import run

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.lab import Lab

pytestmark = [pytest.mark.nix, pytest.mark.root]


def _identity(path: Path) -> tuple[object, ...]:
    """Return everything lstat tells but the time of the last reading, with the extended attributes."""
    status = path.lstat()
    attributes = {
        name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
    }
    return (
        status.st_ino, status.st_mode, status.st_nlink, status.st_uid, status.st_gid, status.st_size,
        status.st_mtime_ns, status.st_ctime_ns, attributes,
    )  # fmt: skip


def _store(root: Path) -> dict[str, tuple[object, ...]]:
    store = root / "nix/store"
    entries = {str(path.relative_to(store)): _identity(path) for path in sorted(store.rglob("*"))}
    hashes = {f"{path.name} as NAR": (hash_path(path).hash.sri,) for path in store.iterdir() if path.name != ".links"}
    return {**entries, **hashes, ".": _identity(store)}


def _dump(root: Path, scratch: Path) -> str:
    copy = scratch / "copy.sqlite"
    copy.unlink(missing_ok=True)
    with StoreDatabase.open(root / "nix/var/nix") as database:
        database.backup(copy)
    with closing(sqlite3.connect(copy)) as connection:
        return hashlib.sha256("\n".join(connection.iterdump()).encode()).hexdigest()


def test_a_full_run_leaves_the_store_bit_identical(lab: Lab, tmp_path: Path) -> None:
    """Database dump, names, NAR hashes, lstat and attributes of every entry are the same before and after."""
    node = lab.clone_node("untouched")
    before = (_dump(node.root, tmp_path), _store(node.root))
    result = lab.verify(node, "--level", "full")
    assert result.exit == 0, result
    assert before == (_dump(node.root, tmp_path), _store(node.root))
    assert not any((node.root / "nix/var/nix/temproots").iterdir())
    assert [] == list((node.state / "scratch").iterdir())


def test_a_run_leaves_nothing_open(lab: Lab) -> None:
    """Whoever verifies again and again in one process must not run out of descriptors."""
    node = lab.clone_node("descriptors")
    arguments = ["scan", "--config", str(node.config), "--quiet"]
    run(arguments)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only

    assert 0 == run(arguments)
    assert before == len(os.listdir("/proc/self/fd"))  # noqa: PTH208
