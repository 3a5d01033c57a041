"""Store databases: files that SQLite opens, whatever their pages and their schema say.

Pages are damaged where SQLite reads them (headers, cell pointers, records), and the schema is one that Nix never
wrote: views and virtual tables in the place of tables, generated columns, triggers, rows of the wrong types.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.target import Target, hold

from ec_closure.store_db import StoreDatabase, StoreDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_PAGE = 512
_HASH = "sha256:" + "0" * 64
_PLAIN = (
    "CREATE TABLE ValidPaths (id integer PRIMARY KEY AUTOINCREMENT, path text UNIQUE, hash text, registrationTime integer,"
    " deriver text, narSize integer, ultimate integer, sigs text, ca text)"
)
_REFS = "CREATE TABLE Refs (referrer integer, reference integer, PRIMARY KEY (referrer, reference))"
_OUTPUTS = "CREATE TABLE DerivationOutputs (drv integer, id text, path text)"
_COLUMNS = "id, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca"
_ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
_VALID = (
    _PLAIN,
    _PLAIN,
    _PLAIN,
    _PLAIN.replace(" UNIQUE", ""),
    _PLAIN.replace("PRIMARY KEY AUTOINCREMENT", "").replace(" UNIQUE", ""),
    _PLAIN.replace(" AUTOINCREMENT", "") + " WITHOUT ROWID",
    f"CREATE VIEW ValidPaths AS {_ENDLESS} SELECT {', '.join('i AS ' + name for name in _COLUMNS.split(', '))} FROM n",
    _PLAIN.replace("hash text", "hash text GENERATED ALWAYS AS (hex(zeroblob(20000000))) VIRTUAL"),
    f"CREATE VIRTUAL TABLE ValidPaths USING fts4({_COLUMNS})",
    "CREATE VIRTUAL TABLE ValidPaths USING rtree(id, path, hash, registrationTime, deriver)",
    _PLAIN.replace("narSize integer", "narSize integer COLLATE NOCASE DEFAULT (random())"),
)
_REFERENCES = (
    _REFS,
    _REFS,
    _REFS.replace(", PRIMARY KEY (referrer, reference)", ""),
    _REFS.replace("referrer integer", "referrer text"),
    f"CREATE VIEW Refs AS {_ENDLESS} SELECT i AS referrer, i + 1 AS reference FROM n",
)
_VALUES: tuple[object, ...] = (
    None, 0, -1, 1, 2**63 - 1, 1.5, b"\xff", "", "x", "\0", "/nix/store/" + "0" * 32 + "-a", "é" * 40, "sha256:" + "e" * 64, "a" * 3000,
)  # fmt: skip


def _path(number: int) -> str:
    return f"/nix/store/{number:032d}-p{number}"


@cache
def _place() -> Path:
    """Return a state directory of this process in memory, where there is such a place."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - below it, a directory of our own
    place = Path(tempfile.mkdtemp(prefix="ec-fuzz-", dir=base))
    (place / "db").mkdir()
    (place / "db" / "schema").write_text("10")
    import atexit
    import shutil

    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place


def _read(data: bytes) -> None:
    file = _place() / "db" / "db.sqlite"
    for beside in ("-wal", "-shm", "-journal"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
    file.write_bytes(data)
    with StoreDatabase.open(_place()) as database:
        wanted = _path(1)
        _quietly(lambda: database.path_info(wanted))
        _quietly(lambda: database.referrers_closure([wanted, _path(2)]))
        _quietly(lambda: database.closure(wanted))
        paths = database.valid_paths()
        infos = database.all_infos()
        hold(list(infos) == paths, "the database speaks of other paths when it is asked otherwise")
        hold(len(infos) <= len(data), "more rows than bytes")
        for info in infos.values():
            hold(info.nar_size > 0, "a path without bytes")
            hold(all(reference in infos for reference in info.references), "a reference to what is not valid")


def _quietly(question: Callable[[], object]) -> None:
    with contextlib.suppress(StoreDatabaseError):
        question()


def _make(random: Random) -> bytes:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {_PAGE}")
        if random.random() < 0.1:
            connection.execute("PRAGMA encoding = 'UTF-16le'")
        for statement in (random.choice(_VALID), random.choice(_REFERENCES), _OUTPUTS):
            with contextlib.suppress(sqlite3.Error):
                connection.execute(statement)
        if random.random() < 0.7:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("CREATE INDEX IndexReferrer ON Refs(referrer)")
                connection.execute("CREATE INDEX IndexReference ON Refs(reference)")
        if random.random() < 0.2:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("CREATE TRIGGER Deleted AFTER DELETE ON ValidPaths BEGIN DELETE FROM Refs; END")
        strange = random.random() < 0.3
        for number in range(1, random.choice((2, 5, 30))):
            row: list[object] = [number, _path(number), _HASH, 1, None, 120, random.choice((None, 1)), "k:AAAA", None]
            if strange and random.random() < 0.3:
                row[random.randrange(1, 9)] = random.choice(_VALUES)
            with contextlib.suppress(sqlite3.Error):
                connection.execute("INSERT INTO ValidPaths VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                connection.execute("INSERT INTO Refs VALUES (?, ?)", (number, random.randrange(1, number + 1)))
        if random.random() < 0.15:
            _forge(random, connection)
        return connection.serialize()


def _forge(random: Random, connection: sqlite3.Connection) -> None:
    """Write into the schema table itself, as only a hostile hand does."""
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA writable_schema = ON")
        statement = random.choice(
            (
                "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master WHERE name = 'Refs') WHERE name = 'ValidPaths'",
                "UPDATE sqlite_master SET sql = 'CREATE TABLE ValidPaths (id, path)' WHERE name = 'ValidPaths'",
                "UPDATE sqlite_master SET type = 'table' WHERE type = 'view'",
                "UPDATE sqlite_master SET rootpage = rootpage + 1",
                "UPDATE sqlite_master SET name = 'ValidPaths'",
                "UPDATE sqlite_master SET sql = replace(sql, 'integer', 'any')",
                "UPDATE sqlite_master SET sql = NULL",
            )
        )
        connection.execute(statement)


def _twist(random: Random, data: bytes) -> bytes:
    """Damage a page where it counts."""
    pages = len(data) // _PAGE
    if not pages:
        return data
    damaged = bytearray(data)
    start = random.randrange(pages) * _PAGE
    header = start + (100 if start == 0 else 0)
    match random.randrange(8):
        case 0:  # another kind of page
            damaged[header] = random.choice((0, 2, 5, 10, 13))
        case 1:  # the number of cells, or where they begin
            at = header + random.choice((1, 3, 5))
            damaged[at : at + 2] = random.choice((0, 1, 2, 0xFF, 0xFFFF, random.randrange(_PAGE))).to_bytes(2, "big")
        case 2:  # a cell pointer, or the right-most child
            at = header + 8 + random.randrange(20)
            damaged[at : at + 2] = random.randrange(_PAGE).to_bytes(2, "big")
        case 3:  # a number of variable length: sizes, types of columns
            at = start + random.randrange(_PAGE)
            damaged[at : at + 5] = random.choice(
                (b"\xff\xff\xff\xff\x7f", b"\x81\x80\x80\x80\x00", b"\x8f\xff\xff\xff\x7f")
            )
        case 4:  # a page number somewhere: children and overflow chains
            at = start + random.randrange(_PAGE - 4)
            damaged[at : at + 4] = random.randrange(pages + 2).to_bytes(4, "big")
        case 5:  # one page in the place of another
            other = random.randrange(pages) * _PAGE
            damaged[start : start + _PAGE] = damaged[other : other + _PAGE]
        case 6:  # the file's own header
            at = random.choice((16, 18, 19, 20, 24, 28, 32, 36, 44, 52, 56, 92, 96))
            damaged[at : at + 4] = random.choice((0, 1, 2, 0xFFFF, 0xFFFFFFFF, 1 << 24, pages)).to_bytes(4, "big")
        case _:  # the text of the schema
            at = damaged.find(
                random.choice((b"integer", b"TABLE", b"ValidPaths", b"Refs", b"text", b"CREATE", b"PRIMARY"))
            )
            if at >= 0:
                damaged[at : at + 4] = random.choice((b"VIEW", b"    ", b"\0\0\0\0", b"TEXT", b"(1);", b"----"))
    return bytes(damaged)


STORE_DB = Target(
    "store-db", _read, _make, _twist, (StoreDatabaseError,),
    (b"SQLite format 3\0", b"CREATE VIEW ", b"CREATE VIRTUAL TABLE ", b" GENERATED ALWAYS AS (1)", b" WITHOUT ROWID", b"\xff" * 9, b"\0" * 8),
    suite=400,
)  # fmt: skip
