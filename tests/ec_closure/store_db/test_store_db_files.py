"""The files of a store database are what somebody with root put there: no fifo is waited for, no twin believed."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ec_closure.hashes import Hash
from ec_closure.store_db import StoreDatabase, StoreDatabaseError, StoreSchemaError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATH = f"/nix/store/{'0' * 32}-a"
# As Nix's, but for the constraint that a path is registered once.
SCHEMA = """
    CREATE TABLE ValidPaths (
        id integer PRIMARY KEY, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca
    );
    CREATE TABLE Refs (referrer integer, reference integer, PRIMARY KEY (referrer, reference));
    CREATE TABLE DerivationOutputs (drv integer, id, path);
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give a state directory with a database at rest."""
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "schema").write_text("10\n")
    with closing(sqlite3.connect(tmp_path / "db" / "db.sqlite")) as made:
        made.executescript(SCHEMA)
    return tmp_path


def register(state: Path, *paths: str) -> None:
    """Add rows to the database."""
    with closing(sqlite3.connect(state / "db" / "db.sqlite")) as writer, writer:
        writer.executemany(
            "INSERT INTO ValidPaths (path, hash, registrationTime, narSize) VALUES (?, ?, 1, 120)",
            [(path, f"sha256:{Hash.of('sha256', path.encode()).base16}") for path in paths],
        )


def fifo(place: Path) -> None:
    """Put a fifo there, which nobody writes to."""
    os.mkfifo(place)


def link(place: Path) -> None:
    """Put a symlink there, to what was there before."""
    place.with_name("aside").touch()
    place.symlink_to("aside")


def directory(place: Path) -> None:
    """Put a directory there."""
    place.mkdir()


@pytest.mark.parametrize("put", [fifo, link, directory])
@pytest.mark.parametrize("name", ["schema", "db.sqlite", "db.sqlite-wal", "db.sqlite-journal", "db.sqlite-shm"])
def test_what_is_no_regular_file_is_refused(state: Path, name: str, put: Callable[[Path], None]) -> None:
    """At once, with its place: reading a fifo would wait for ever, and a link leads anywhere."""
    place = state / "db" / name
    place.unlink(missing_ok=True)
    put(place)

    with pytest.raises(StoreDatabaseError, match="not a regular file") as caught:
        StoreDatabase.open(state)

    assert str(place) == caught.value.place


@pytest.mark.parametrize("text", ["1" * 5000, "10" + " " * 30, "1" * 32], ids=["5000", "padded", "32"])
def test_a_version_longer_than_any_is_none(state: Path, text: str) -> None:
    """Not an error of Python's about numbers with too many digits."""
    (state / "db" / "schema").write_text(text)

    with pytest.raises(StoreSchemaError, match="no schema version"):
        StoreDatabase.open(state)


@pytest.mark.parametrize(
    "ask",
    [
        lambda database: database.all_infos(),
        lambda database: database.valid_paths(),
        lambda database: database.closure(PATH),
        lambda database: database.path_info(PATH),
    ],
    ids=["all_infos", "valid_paths", "closure", "path_info"],
)
def test_a_path_that_is_registered_twice_is_refused(state: Path, ask: Callable[[StoreDatabase], object]) -> None:
    """Nix takes the first row and a dictionary the last: one of them may be anything."""
    register(state, PATH, f"/nix/store/{'1' * 32}-b", PATH)

    with StoreDatabase.open(state) as database, pytest.raises(StoreDatabaseError, match="registered twice") as caught:
        ask(database)

    assert str(caught.value.place).endswith(f": {PATH}")


def test_a_path_that_is_registered_once_is_not(state: Path) -> None:
    """The check is about twins, not about neighbours."""
    register(state, PATH, f"{PATH}b", f"/nix/store/{'1' * 32}-a")

    with StoreDatabase.open(state) as database:
        assert [PATH, f"{PATH}b", f"/nix/store/{'1' * 32}-a"] == database.valid_paths() == list(database.all_infos())
