"""A dashboard's database as a large fleet leaves it behind: many nodes, and a hundred times as many reports.

Rows are those that a real report makes, written without the program: a million reports in a minute. As compaction would
have left them: the newest report of each node and release has its envelope and its findings, older ones have none.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from msgspec.structs import replace

from runner_dashboard.data.database import Database
from runner_dashboard.demo.machine import Machine, Release, finding
from runner_dashboard.ingest import rows, store
from runner_dashboard.ingest.envelope import node_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL

    from ec_closure.report import Report

PATHS = 1500
FINDINGS = 20
RELEASES = 5
DAY = 86_400


@dataclass(frozen=True)
class Fleet:
    """*nodes* nodes, *each* reports of each; the first *machines* have keys that we know, and may go on reporting."""

    nodes: int
    each: int
    machines: list[Machine]


class Fixed(Release):
    """A release whose paths are worked out once."""

    @property
    def paths(self) -> list[str]:
        """Its store paths."""
        found = _PATHS.get(self.version)
        if found is None:
            found = _PATHS[self.version] = super().paths
        return found


_PATHS: dict[int, list[str]] = {}


def troubled(machine: Machine, now: int) -> Report:
    """Return the next report of *machine*: 1,500 paths, 20 findings."""
    report = machine.passed(now)
    paths = machine.release.paths[:FINDINGS]
    found = tuple(finding("EV201", f"{path} is not what CI signed", path) for path in paths)
    return replace(report, verdict="failed", findings=found)


def fill(where: Path | URL, fleet: Fleet, now: int) -> None:
    """Make the database *where* of *fleet*, whose reports are evenly spread over the days until *now*."""
    with Database(where) as database:
        database.migrate()
    keys = [machine.public_key for machine in fleet.machines]
    keys += [secrets.token_hex(32) for _ in range(fleet.nodes - len(keys))]
    ids = [node_id(key) for key in keys]
    reports = [rows.prepared(troubled(Machine("one", Fixed(version, PATHS)), now), secrets.token_bytes(4096))
               for version in range(1, RELEASES + 1)]  # fmt: skip
    newest = [(_number(fleet, at, _last(fleet, which)), reports[which])
              for at in range(fleet.nodes) for which in range(RELEASES)]  # fmt: skip
    tables = {
        "nodes": _nodes(fleet, keys, ids, reports[-1], now),
        "reports": _reports(fleet, ids, reports, now),
        "evidence": ({"report_id": number, "envelope": row.envelope, "size": row.size} for number, row in newest),
        "findings": ({"report_id": number, **one} for number, row in newest for one in row.findings),
    }
    if isinstance(where, Path):
        _into_sqlite(where, tables)
    else:
        _into_postgresql(where, tables)


def _number(fleet: Fleet, at: int, counter: int) -> int:
    """Return the number of a report: they came one round after the other."""
    return (counter - 1) * fleet.nodes + at + 1


def _last(fleet: Fleet, which: int) -> int:
    """Return the last counter of a release."""
    return fleet.each * (which + 1) // RELEASES


def _nodes(fleet: Fleet, keys: list[str], ids: list[str], row: Any, now: int) -> Iterator[dict[str, Any]]:
    for at, (key, node) in enumerate(zip(keys, ids, strict=True)):
        # One in five has something wrong; the others' newest reports passed.
        wrong = at % 5 == 0
        yield {
            "id": node, "public_key": key, "keyid": store.sslib_keyid(key) if at < len(fleet.machines) else key[::-1],
            "state": "enrolled", "name": f"runner-{at:05}", "first_seen": now - 400 * DAY,
            "last_received": now - at % DAY, "last_fresh": now - at % DAY,
            "current_report": _number(fleet, at, fleet.each), **row.summary,
            "claimed_name": f"runner-{at:05}", "counter": fleet.each, "verdict": "failed" if wrong else "passed",
            "fails": row.summary["fails"] if wrong else 0,
        }  # fmt: skip


def _reports(fleet: Fleet, ids: list[str], reports: list[Any], now: int) -> Iterator[dict[str, Any]]:
    which = 0
    for counter in range(1, fleet.each + 1):
        which += counter > _last(fleet, which)
        row = reports[which].report | {"counter": counter, "received": now - (fleet.each - counter) * DAY, "late": 0}
        for at, node in enumerate(ids):
            wrong = {} if at % 5 == 0 else {"verdict": "passed", "fails": 0}
            yield row | wrong | {
                "id": _number(fleet, at, counter), "node_id": node, "digest": secrets.token_hex(32),
                "nonce": secrets.token_hex(52),
            }  # fmt: skip


def _into_sqlite(file: Path, tables: dict[str, Iterator[dict[str, Any]]]) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        for pragma in ("synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN")
        for table, listed in tables.items():
            names, values = _columns(listed)
            marks = ", ".join("?" * len(names))
            connection.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", values)  # noqa: S608 - ours
        connection.execute("COMMIT")
        connection.execute("ANALYZE")


def _into_postgresql(url: URL, tables: dict[str, Iterator[dict[str, Any]]]) -> None:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        with connection.transaction(), connection.cursor() as cursor:
            for table, listed in tables.items():
                names, values = _columns(listed)
                with cursor.copy(f"COPY {table} ({', '.join(names)}) FROM STDIN") as copy:
                    for row in values:
                        copy.write_row(row)
            # Numbers were given here, and the next is the server's to give.
            cursor.execute("SELECT setval(pg_get_serial_sequence('reports', 'id'), (SELECT max(id) FROM reports))")
        connection.execute("VACUUM ANALYZE")


def _columns(listed: Iterator[dict[str, Any]]) -> tuple[list[str], Iterator[list[Any]]]:
    first = next(listed)
    names = list(first)
    return names, ([one[name] for name in names] for one in chain([first], listed))
