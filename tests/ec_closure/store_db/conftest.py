"""What the tests of the store's database share: databases made by hand, in any state."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.hashes import Hash
from ec_closure.store_db import StoreDatabase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HASH = Hash.of("sha256", b"x")
# The schema of a store, with no constraint that would keep bad rows out.
SCHEMA = """
    CREATE TABLE ValidPaths (
        id integer PRIMARY KEY, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca
    );
    CREATE TABLE Refs (referrer integer, reference integer);
    CREATE INDEX IndexReferrer ON Refs(referrer);
    CREATE TABLE DerivationOutputs (drv integer, id, path);
"""


def path(name: str) -> str:
    """Return a store path called *name*."""
    return "/nix/store/" + name[0] * 32 + "-" + name


class State:
    """A state directory with a database made by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file = directory / "db" / "db.sqlite"
        self.file.parent.mkdir(parents=True)
        (directory / "db" / "schema").write_text("10")
        self.writer = sqlite3.connect(self.file, isolation_level=None)
        self.writer.executescript("PRAGMA journal_mode = wal;" + SCHEMA)

    def add(self, name: str, *references: str, **columns: Any) -> None:
        """Register the path called *name*."""
        row = {
            "path": path(name),
            "hash": f"sha256:{HASH.base16}",
            "registrationTime": 1,
            "narSize": 120,
            **columns,
        }
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.writer.execute(f"INSERT INTO ValidPaths ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608 - our own names
        for reference in references:
            self.writer.execute(
                "INSERT INTO Refs SELECT a.id, b.id FROM ValidPaths a, ValidPaths b WHERE a.path = ? AND b.path = ?",
                [path(name), path(reference)],
            )

    def open(self) -> StoreDatabase:
        """Open it as the code under test does."""
        return StoreDatabase.open(self.directory)


@pytest.fixture(scope="session")
def new_state() -> Callable[[Path], State]:
    """Give a function that makes a state directory."""
    return State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """Give an empty database in WAL mode, with its writer still there."""
    state = State(tmp_path / "var")
    yield state
    state.writer.close()


@pytest.fixture
def shared() -> Iterator[Path]:
    """Give a directory that everyone can read: pytest's are for the owner alone."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
