"""The ghost's own store database, and the surgery that puts outputs under test.

Whoever refers to a removed path goes as well, up to the top:
a row that referred to nothing would break the builds that need it (design §6).
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from ec_verify.errors import GhostError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from ec_closure.derivation import Derivation
    from ec_closure.store_db import PathInfo

# Realisations of content-addressed derivations would hand Nix the answer (2.8 … 2.34, 2.35).
_REALISATION_TABLES = ("RealisationsRefs", "Realisations", "BuildTraceV3")

_UPWARD = """
with recursive above(id) as (
    select id from ValidPaths where path in (select path from wanted)
    union
    select referrer from Refs join above on Refs.reference = above.id
)
select path from ValidPaths where id in (select id from above)
"""


def register(database: Path, rows: Iterable[PathInfo]) -> None:
    """Add *rows*, none of which the database has. References must be among them. Raises `GhostError`."""
    with _opened(database) as connection, connection:
        identities: dict[str, int] = {}
        kept = list(rows)
        for row in kept:
            cursor = connection.execute(
                "insert into ValidPaths (path, hash, registrationTime, narSize, ultimate, sigs, ca)"
                " values (?, ?, 1, ?, 0, ?, ?)",
                (row.path, f"sha256:{row.nar_hash.base16}", row.nar_size, " ".join(row.signatures) or None, row.ca),
            )
            identities[row.path] = int(cursor.lastrowid or 0)
        try:
            connection.executemany(
                "insert into Refs (referrer, reference) values (?, ?)",
                ((identities[row.path], identities[reference]) for row in kept for reference in row.references),
            )
        except KeyError as error:
            raise GhostError(f"{error} is referred to and not registered") from error


def declare(database: Path, derivations: Mapping[str, Derivation]) -> None:
    """Say which outputs the registered ones among *derivations* (by store path) have, as Nix does when it writes one.

    `register` does not know, and Nix 2.34 runs the builder of a derivation without such rows and then finds no output.
    """
    with _opened(database) as connection, connection:
        connection.executemany(
            "insert or replace into DerivationOutputs (drv, id, path) select id, ?, ? from ValidPaths where path = ?",
            (
                (name, output.path, path)
                for path, derivation in derivations.items()
                for name, output in derivation.outputs.items()
                if output.path
            ),
        )


def referrers(database: Path, paths: Iterable[str]) -> set[str]:
    """Return *paths*, as far as they are valid, with everything that refers to them, directly or not."""
    with _opened(database) as connection:
        _wanted(connection, paths)
        return {row[0] for row in connection.execute(_UPWARD)}


def remove(database: Path, paths: Iterable[str]) -> None:
    """Remove the rows of *paths* (closed upward, see `referrers`) and all realisations."""
    with _opened(database) as connection, connection:
        _wanted(connection, paths)
        chosen = "(select id from ValidPaths where path in (select path from wanted))"
        kept = connection.execute(
            f"select count(*) from Refs where reference in {chosen} and referrer not in {chosen}"  # noqa: S608 - a constant
        ).fetchone()[0]
        if kept:
            raise GhostError(f"{kept} references would dangle: the batch is not closed upward")
        connection.execute(f"delete from Refs where referrer in {chosen}")  # noqa: S608
        connection.execute("delete from ValidPaths where path in (select path from wanted)")
        tables = {row[0] for row in connection.execute("select name from sqlite_master where type = 'table'")}
        for table in _REALISATION_TABLES:
            if table in tables:
                connection.execute(f"delete from {table}")  # noqa: S608


@contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(database)) as connection:
            # It ends with the ghost: nothing of it needs to survive a loss of power.
            connection.execute("pragma synchronous = off")
            yield connection
    except sqlite3.Error as error:
        raise GhostError(f"the ghost's database cannot be used: {error}", place=str(database)) from error


def _wanted(connection: sqlite3.Connection, paths: Iterable[str]) -> None:
    connection.execute("create temporary table if not exists wanted (path text primary key)")
    connection.execute("delete from wanted")
    connection.executemany("insert or ignore into wanted values (?)", ((path,) for path in paths))
