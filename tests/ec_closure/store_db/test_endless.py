"""Files that are small and have no end: pages that lead in circles, and tables that are none."""

from __future__ import annotations

import resource
import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ec_closure.store_db import StoreDatabase, StoreDatabaseError, StoreSchemaError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_closure.store_db.conftest import State

PAGE = 4096
_INTERIOR = 5
_MANY = 3000


def _filled(state: State) -> None:
    """Give the tables so many rows that they are trees of pages, and write them into the one file."""
    path = "'/nix/store/' || printf('%032d', i) || '-p'"
    row = f"i, {path}, 'sha256:' || printf('%064d', 0), 1, NULL, 120, 0, NULL, NULL"
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {_MANY})"  # noqa: S608 - ours
    state.writer.executescript(
        f"{numbers} INSERT INTO ValidPaths SELECT {row} FROM n; {numbers} INSERT INTO Refs SELECT i, i FROM n;"  # noqa: S608 - ours
        "PRAGMA wal_checkpoint(TRUNCATE);"
    )
    state.writer.close()


def _root(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        found: int = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()[0]
        return found


def _bend(file: Path, table: str) -> None:
    """Let every page number in the upper pages of *table* lead to one and the same page below, thirteen levels deep."""
    data = bytearray(file.read_bytes())
    root = (_root(file, table) - 1) * PAGE
    assert data[root] == _INTERIOR
    cells = struct.unpack_from(">H", data, root + 3)[0]
    leaf = struct.unpack_from(">I", data, root + 8)[0]
    levels = 13
    first = len(data) // PAGE + 1
    upper = bytes(data[root : root + PAGE])
    for level in range(levels):
        page = bytearray(upper)
        below = first + level + 1 if level < levels - 1 else leaf
        struct.pack_into(">I", page, 8, below)
        for cell in range(cells):
            struct.pack_into(">I", page, struct.unpack_from(">H", page, 12 + 2 * cell)[0], below)
        data += page
        if level == 0:
            data[root : root + PAGE] = page
    struct.pack_into(">I", data, 28, len(data) // PAGE)
    file.write_bytes(data)


QUESTIONS: dict[str, Callable[[StoreDatabase], object]] = {
    "all": lambda database: database.all_infos(),
    "paths": lambda database: database.valid_paths(),
    "closure": lambda database: database.closure(f"/nix/store/{1:032d}-p"),
    "referrers": lambda database: database.referrers_closure([f"/nix/store/{1:032d}-p"]),
    "one": lambda database: database.path_info(f"/nix/store/{1:032d}-p"),
}


@pytest.mark.parametrize(
    ("table", "question"),
    [
        *(("ValidPaths", question) for question in QUESTIONS),
        ("Refs", "all"),
        ("Refs", "closure"),
        ("Refs", "referrers"),
    ],
)
def test_a_tree_without_end_is_refused_soon(state: State, table: str, question: str) -> None:
    """A file of some hundred KiB claims more rows than there are atoms; little of it is read and kept."""
    _filled(state)
    _bend(state.file, table)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with state.open() as database, pytest.raises(StoreDatabaseError):
        QUESTIONS[question](database)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_a_value_longer_than_any_that_nix_writes_is_refused(state: State) -> None:
    """What a damaged file says about a length is not believed."""
    state.add("long", sigs="s" * (20 << 20))
    with state.open() as database, pytest.raises(StoreDatabaseError, match="too big"):
        database.all_infos()


def test_the_steps_allowed_are_many_times_those_of_an_honest_store(state: State) -> None:
    """A path that everything refers to, and one that refers to everything, in a store of thousands."""
    _filled(state)
    with closing(sqlite3.connect(state.file)) as connection, connection:
        connection.execute("DELETE FROM Refs")
        connection.execute("INSERT INTO Refs SELECT 1, id FROM ValidPaths UNION SELECT id, 2 FROM ValidPaths")
    with state.open() as database:
        assert len(database.all_infos()) == _MANY
        assert len(database.closure(f"/nix/store/{1:032d}-p")) == _MANY
        assert len(database.referrers_closure([f"/nix/store/{2:032d}-p"])) == _MANY


def test_a_question_about_very_many_paths_is_answered(state: State) -> None:
    """The question itself may be longer than any value in the file."""
    _filled(state)
    wanted = [f"/nix/store/{number:032d}-p" for number in range(1, 20 * _MANY)]
    with state.open() as database:
        assert len(database.referrers_closure(wanted)) == _MANY


@pytest.mark.parametrize("module", ["fts4", "fts5"])
def test_a_virtual_table_is_no_table(state: State, module: str) -> None:
    """Its rows are whatever a module of SQLite makes of other tables; its type in the schema is that of a real one."""
    columns = "id, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca"
    state.writer.execute("DROP TABLE ValidPaths")
    try:
        state.writer.execute(f"CREATE VIRTUAL TABLE ValidPaths USING {module}({columns})")
    except sqlite3.OperationalError:
        pytest.skip(f"this SQLite has no {module}")
    with pytest.raises(StoreSchemaError, match="there is no table ValidPaths"):
        state.open()


def test_a_complaint_of_sqlite_in_no_encoding_is_an_error_with_a_place(state: State) -> None:
    """SQLite quotes the schema as it stands in the file, and Python cannot decode that."""
    state.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    state.writer.close()
    data = state.file.read_bytes()
    state.file.write_bytes(data.replace(b"CREATE TABLE Refs (", b"CREATE TABLE Re\xff\xfe("))
    with pytest.raises(StoreDatabaseError, match="SQLite says: "):
        state.open()


def test_references_to_what_is_no_text_are_refused(state: State) -> None:
    """A number among paths has no place in their order."""
    state.add("a")
    state.add("b")
    state.add("c", "a", "b")
    state.writer.execute("UPDATE ValidPaths SET path = 7 WHERE id = 1")
    with state.open() as database, pytest.raises(StoreDatabaseError):
        database.all_infos()
