"""Nix's store database, read only: which paths are valid, their hashes, references and signatures.

Nothing in it is evidence. Whoever can write the store can write the database, and ``deriver``, ``ultimate`` and
``ca`` are not even signed (pitfalls P7, P36): it tells what this machine *claims*. So its rows are checked like input
from strangers. Schema: Nix's libstore/schema.sql, schema 10 (P35).
"""

from __future__ import annotations

import binascii
import contextlib
import gc
import json
import os
import sqlite3
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from operator import attrgetter
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import msgspec

from ec_closure.decoding import excerpt
from ec_closure.errors import LocalError
from ec_closure.hashes import Hash, HashError
from ec_closure.sqlite_bounds import Bounds
from ec_closure.sqlite_file import open_file, open_read_only
from ec_closure.store_db_audit import Audit, audit
from ec_closure.store_path import STORE_DIR, StorePath, StorePathError, full_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

OLDEST_SCHEMA: Final = 10
NEWEST_SCHEMA: Final = 10
"""The schemas that are understood; Nix has written 10 since version 2.0."""

_MAX_SCHEMA: Final = 32  # bytes of the file that holds the version
_PATHS_AT_ONCE: Final = 10_000
_MADE_BY: Final = "SELECT type, sql FROM sqlite_master WHERE name = ?"
_TABLES: Final = {
    "ValidPaths": {"id", "path", "hash", "registrationTime", "deriver", "narSize", "ultimate", "sigs", "ca"},
    "Refs": {"referrer", "reference"},
    "DerivationOutputs": {"drv", "id", "path"},
}
_INFO: Final = """
    SELECT id, path, hash, narSize, deriver, ultimate, sigs, ca, registrationTime,
        (SELECT json_group_array(reference) FROM Refs WHERE referrer = ValidPaths.id)
    FROM ValidPaths
"""
_ROWS: Final = "SELECT id, path, hash, narSize, deriver, ultimate, sigs, ca, registrationTime, '[]' FROM ValidPaths"
_GROUPS: Final = "SELECT referrer, json_group_array(reference) FROM Refs GROUP BY referrer"
_BY_ID: Final = _INFO + " WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants
_INTEGERS: Final = frozenset({"referrer", "reference"})
_INDEXED: Final = """
    SELECT 1 FROM pragma_index_list('Refs') AS found, pragma_index_info(found.name) AS first,
        pragma_table_info('ValidPaths') AS id
    WHERE first.seqno = 0 AND first.name = 'referrer' AND NOT found.partial
        AND id.name = 'id' AND lower(id.type) = 'integer' AND id.pk = 1
"""
_REFERENCES: Final = "SELECT path FROM Refs LEFT JOIN ValidPaths ON ValidPaths.id = reference WHERE referrer = ?"
_SPELT_LENGTH: Final = len("sha256:") + 64  # of a hash as Nix writes it
_TEXT: Final = frozenset({str, NoneType})
_PATH_OF: Final = attrgetter("path")
_REFERRERS: Final = """
    WITH RECURSIVE Referrers(id) AS (
        SELECT id FROM ValidPaths WHERE path IN (SELECT value FROM json_each(?))
        UNION SELECT Refs.referrer FROM Refs JOIN Referrers ON Refs.reference = Referrers.id
    )
    SELECT path FROM ValidPaths WHERE id IN Referrers
"""


class StoreDatabaseError(LocalError):
    """The store database cannot be read, is damaged, or is of a version that is not understood."""

    code = "store-database"


class StoreSchemaError(StoreDatabaseError):
    """The store database has a schema that is not understood."""

    code = "store-database-schema"


class InvalidPathError(StoreDatabaseError):
    """A path is not registered in the store database."""

    code = "store-database-invalid-path"


@dataclass(frozen=True, slots=True)
class PathInfo:
    """What the database says about one valid path.

    Paths are full store paths, *references* sorted and with the path itself if it refers to itself.
    *registration_time* is in seconds since 1970. Of these, signatures cover path, NAR hash, NAR size and references
    only.
    """

    path: str
    nar_hash: Hash
    nar_size: int
    references: tuple[str, ...]
    deriver: str | None = None
    ultimate: bool = False
    signatures: tuple[str, ...] = ()
    ca: str | None = None
    registration_time: int = 0


class StoreDatabase:
    """An open store database; a context manager. Each method sees one consistent moment of a live database."""

    def __init__(
        self, connection: sqlite3.Connection, place: str, store_dir: str, cleanup: contextlib.ExitStack
    ) -> None:
        self._connection = connection
        self._place = place
        self._store_dir = store_dir
        self._pattern = full_path(store_dir)
        self._cleanup = cleanup
        self._bounds = Bounds(connection, Path(place))

    @classmethod
    def open(cls, state_dir: Path, *, store_dir: str = STORE_DIR) -> Self:
        """Open the database below *state_dir* (``/nix/var/nix``) of the store whose logical directory is *store_dir*.

        Works beside a running daemon, for a reader who is not root, and on read-only media. Raises `StoreSchemaError`
        when the schema is not understood, `StoreDatabaseError` when it cannot be read.
        """
        path = state_dir / "db" / "db.sqlite"
        place = os.fspath(path)
        cleanup = contextlib.ExitStack()
        try:
            with _typed(place):
                _check_version(state_dir / "db" / "schema")
                connection = open_read_only(path, cleanup)
                _check_tables(connection, place)
        except BaseException:
            cleanup.close()
            raise
        return cls(connection, place, store_dir, cleanup)

    def close(self) -> None:
        """Close the database."""
        self._cleanup.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def path_info(self, path: str) -> PathInfo | None:
        """Return what is known of *path*, or ``None`` if it is not valid."""
        with self._reading():
            rows = self._connection.execute(_INFO + " WHERE path = ?", [path]).fetchmany(2)
            if not rows:
                return None
            if len(rows) > 1:
                self._fail("it is registered twice", path)
            row = rows[0]
            return self._info(row, sorted(self._path(found) for (found,) in self._ask(_REFERENCES, row[0])))

    def valid_paths(self) -> list[str]:
        """Return all valid paths, sorted."""
        with self._reading():
            found = sorted(self._path(path) for path, _ in self._ask("SELECT path, hash FROM ValidPaths"))
        self._refuse_twins(found)
        return found

    def all_infos(self) -> dict[str, PathInfo]:
        """Return what is known of every valid path, by path and sorted: two queries, however many paths."""
        with self._reading():
            rows, groups = self._ask(_ROWS), self._ask(_GROUPS)
            referred = dict(zip((referrer for referrer, _ in groups), self._references(groups), strict=True))
            infos = self._infos(rows, [referred.pop(row[0], []) for row in rows])
            if referred:
                self._fail("a reference leads from a path that is not valid", "Refs")
        return {info.path: info for info in infos}

    def closure(self, path: str) -> list[PathInfo]:
        """Return *path* and all it refers to, directly or not, sorted by path.

        Raises `InvalidPathError` if *path* is not valid, `StoreSchemaError` without the indexes that Nix makes.
        """
        # Level by level, a query each: SQLite's own recursion takes three times as long for what it keeps in order.
        rows: list[tuple[Any, ...]] = []
        references: list[list[Any]] = []
        with self._reading():
            level = self._ask(_INFO + " WHERE path = ?", path)
            if not level:
                raise InvalidPathError(
                    f"{path} is not valid in this store", place=self._place, hint="is this the right store?"
                )
            if not self._connection.execute(_INDEXED).fetchone():
                # Every level would read the whole table.
                raise StoreSchemaError("there is no index of references by referrer", place=self._place)
            seen = {row[0] for row in level}
            while level:
                found = self._references(level)
                rows += level
                references += found
                new = set(chain.from_iterable(found)) - seen
                seen |= new
                level = self._ask(_BY_ID, msgspec.json.encode(list(new)).decode())
            return self._infos(rows, references)

    def referrers_closure(self, paths: Iterable[str]) -> set[str]:
        """Return those of *paths* that are valid, and all that refer to them, directly or not."""
        found, wanted = set[str](), iter(paths)
        with self._reading():
            while some := list(islice(wanted, _PATHS_AT_ONCE)):  # as every value, the question has a limited length
                self._bounds.begin()
                found.update(self._path(path) for (path,) in self._ask(_REFERRERS, json.dumps(some)))
        return found

    def audit(self) -> Audit:
        """Return what is wrong with the database beside its rows, and which outputs it gives derivations."""
        with self._reading():
            return audit(self._connection)

    def backup(self, destination: Path, *, durable: bool = True) -> None:
        """Copy the database, as of one moment, to the new file *destination*; never ``cp``, which misses the WAL.

        The copy appears whole or not at all, also after a loss of power when it is *durable*. Raises
        `StoreDatabaseError`, also if *destination* exists.
        """
        temporary = destination.with_name(f".{destination.name}.{os.getpid()}.tmp")
        with _typed(os.fspath(destination)):
            if destination.exists():
                raise StoreDatabaseError("already exists", place=os.fspath(destination), hint="choose another file")
            try:
                with contextlib.closing(sqlite3.connect(temporary, isolation_level=None)) as copy:
                    copy.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
                    self._connection.backup(copy)
                temporary.rename(destination)
            finally:
                temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Read within one transaction.

        Meanwhile no cycles are collected: there are none among what is read, and looking for them takes a sixth of the
        time.
        """
        collected = gc.isenabled()
        with _typed(self._place):
            self._bounds.begin()
            self._connection.execute("BEGIN")
            gc.disable()
            try:
                yield
            finally:
                if collected:
                    gc.enable()
                if self._connection.in_transaction:  # SQLite ends it by itself after some errors
                    self._connection.execute("ROLLBACK")

    def _ask(self, question: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._bounds.rows(self._connection.execute(question, parameters))

    def _references(self, rows: list[tuple[Any, ...]]) -> list[list[Any]]:
        """Return the identities that each of *rows* refers to."""
        try:
            found: list[list[Any]] = msgspec.json.decode(f"[{','.join([row[-1] for row in rows])}]")
        except msgspec.DecodeError:
            self._fail("a reference is no number", "Refs")
        return found

    def _infos(self, rows: list[tuple[Any, ...]], references: list[list[Any]]) -> list[PathInfo]:
        """Return *rows* as values, with the paths that they refer to, sorted by path."""
        paths = {row[0]: row[1] for row in rows}
        if len(paths) != len(rows):
            self._fail("two paths have one identity", "ValidPaths")
        path_of = paths.__getitem__
        try:
            infos = [self._info(row, sorted(map(path_of, found))) for row, found in zip(rows, references, strict=True)]
        except (KeyError, TypeError):  # the latter where a path is no text, which has no order
            self._fail("a reference leads to a path that is not valid", "Refs")
        infos.sort(key=_PATH_OF)
        self._refuse_twins([info.path for info in infos])
        return infos

    def _refuse_twins(self, ordered: list[str]) -> None:
        """Refuse a path with two rows: Nix would believe one of them and we the other.

        The table's own constraint keeps them out, but whoever writes the file can leave that away.
        """
        for path, following in pairwise(ordered):
            if path == following:
                self._fail("it is registered twice", path)

    def _info(self, row: tuple[Any, ...], references: list[str]) -> PathInfo:
        # One expression each for what Nix writes; only what is spelt otherwise is taken apart, to say what is wrong.
        _, path, spelt, nar_size, deriver, ultimate, signatures, ca, registration_time, _ = row
        if not (isinstance(path, str) and self._pattern.fullmatch(path)):
            self._path(path)
        if not isinstance(nar_size, int) or nar_size <= 0:
            self._fail(f"narSize is {nar_size!r}", path)
        if not isinstance(registration_time, int):
            self._fail("registrationTime is not a number", path)
        if not (type(deriver) in _TEXT and type(signatures) in _TEXT and type(ca) in _TEXT):
            columns = {"deriver": deriver, "sigs": signatures, "ca": ca}
            wrong, value = next((name, value) for name, value in columns.items() if type(value) not in _TEXT)
            self._fail(f"{wrong} is {type(value).__name__}, not text", path)
        if isinstance(spelt, str) and len(spelt) == _SPELT_LENGTH and spelt.startswith("sha256:"):
            try:
                nar_hash = Hash("sha256", binascii.unhexlify(spelt[7:]))
            except ValueError:
                nar_hash = self._hash(spelt, path)
        else:
            nar_hash = self._hash(spelt, path)
        return PathInfo(
            path,
            nar_hash,
            nar_size,
            tuple(references),
            deriver or None,
            ultimate == 1,
            tuple(signatures.split()) if signatures else (),
            ca or None,
            registration_time,
        )

    def _path(self, value: Any) -> str:
        if not isinstance(value, str):
            self._fail(f"a path is {type(value).__name__}, not text", "ValidPaths")
        try:
            return StorePath.parse(value, self._store_dir).within(self._store_dir)
        except StorePathError as error:
            self._fail(error.message, "ValidPaths")

    def _hash(self, value: Any, path: str) -> Hash:
        if not isinstance(value, str):
            self._fail(f"hash is {type(value).__name__}, not text", path)
        try:
            nar_hash = Hash.parse(value)
        except HashError as error:
            self._fail(error.message, path)
        if nar_hash.algorithm != "sha256":
            self._fail(f"hash is {nar_hash.algorithm}, not sha256", path)
        return nar_hash

    def _fail(self, message: str, where: str) -> NoReturn:
        raise StoreDatabaseError(message, place=f"{self._place}: {where}", hint="the database is damaged")


def _check_version(file: Path) -> None:
    fd = open_file(file)
    try:
        content = os.read(fd, _MAX_SCHEMA)
    finally:
        os.close(fd)
    text = content.decode("ascii", "replace").strip()
    if len(content) == _MAX_SCHEMA or not text.isdecimal():
        raise StoreSchemaError(f"{text[:20]!r} is no schema version", place=os.fspath(file))
    version = int(text)
    if not OLDEST_SCHEMA <= version <= NEWEST_SCHEMA:
        known = f"{OLDEST_SCHEMA} to {NEWEST_SCHEMA}" if OLDEST_SCHEMA != NEWEST_SCHEMA else str(OLDEST_SCHEMA)
        age = "newer" if version > NEWEST_SCHEMA else "older"
        raise StoreSchemaError(
            f"the store has schema {version}, {age} than the {known} understood here",
            place=os.fspath(file),
            hint="update this program" if age == "newer" else "let a current Nix upgrade the store",
        )


def _check_tables(connection: sqlite3.Connection, place: str) -> None:
    for table, expected in _TABLES.items():
        kind, made_by = connection.execute(_MADE_BY, [table]).fetchone() or ("", "")
        if kind != "table" or not str(made_by).startswith("CREATE TABLE "):
            # Virtual tables are none either: a module of SQLite makes up their rows.
            raise StoreSchemaError(f"there is no table {table}", place=place, hint="is this a Nix store's database?")
        columns = {row[1]: row[2].lower() for row in connection.execute(f"PRAGMA table_info({table})")}
        if missing := sorted(expected - columns.keys()):
            raise StoreSchemaError(f"the table {table} has no {missing[0]}", place=place)
        for column in sorted(expected & _INTEGERS):
            # With another type no index helps, and the closure of a large store takes hours.
            if columns[column] != "integer":
                raise StoreSchemaError(f"{column} of the table {table} is not declared as integer", place=place)


@contextlib.contextmanager
def _typed(place: str) -> Iterator[None]:
    """Turn what SQLite and the file system raise into errors with a place."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError, MemoryError) as error:  # SQLite quotes damaged files, and believes them
        raise StoreDatabaseError(f"SQLite says: {excerpt(str(error) or 'out of memory')}", place=place) from error
    except OSError as error:
        message = (error.strerror or str(error)).lower()
        raise StoreDatabaseError(message, place=os.fspath(error.filename or place)) from error
