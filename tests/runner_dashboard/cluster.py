"""A PostgreSQL server of our own: below a temporary directory, on a Unix socket, run by nobody important."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from runner_dashboard.data import postgresql
from runner_dashboard.data.database import Database

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAMS = [Path(found).parent for found in [shutil.which("initdb")] if found]
PROGRAMS += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
SETTINGS = {
    "listen_addresses": "",
    "log_min_messages": "panic",
    "max_connections": "200",
    "timezone": "Pacific/Auckland",
}
# What a test does is not kept through a loss of power.
UNSAFE = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB"}
USERS = ("postgres", "nobody")
TEMPLATE = "migrated"
# Waits until the other end of its input is gone, which is when its owner is, whatever ended that.
_GUARD = 'read -r _; "$1" --pgdata="$2/data" --silent --wait --mode=immediate stop; rm -rf "$2"'


class Cluster:
    """The server, with *settings*. It is started when this is made; `close` ends it and removes what it wrote.

    So does the end of this process, even by SIGKILL.
    """

    def __init__(self, programs: Path, settings: Mapping[str, str] = UNSAFE) -> None:
        self.programs = programs
        # Not below pytest's own directory, which is closed to others.
        self.room = Path(tempfile.mkdtemp(prefix="pg."))
        self.data = self.room / "data"
        self._made = 0
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            known = {entry.pw_name: entry for entry in pwd.getpwall()}
            user = next(known[name] for name in USERS if name in known)
            os.chown(self.room, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(self.programs / "pg_ctl"), str(self.room)],
            cwd="/", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, **self._as,
        )  # fmt: skip
        self._run("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--username=dashboard")
        (self.data / "postgresql.auto.conf").write_text(
            "".join(f"{name} = '{value}'\n" for name, value in {**SETTINGS, **settings}.items())
            + f"unix_socket_directories = '{self.room}'\n"
        )
        self.start()
        with Database(postgresql.parsed(self.create("template1", TEMPLATE))) as database:
            database.migrate()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._run("pg_ctl", "--wait", "--silent", f"--log={self.room / 'log'}", "start")

    def stop(self) -> None:
        """End it at once, as a crash does."""
        self._run("pg_ctl", "--wait", "--silent", "--mode=immediate", "stop")

    def address(self, name: str) -> str:
        """Return the address of a database."""
        return f"postgresql://dashboard@/{name}?host={self.room}"

    def create(self, template: str = TEMPLATE, name: str = "") -> str:
        """Make a database after *template*, with this version's schema when none is named, and return its address."""
        self._made += 1
        name = name or f"test_{self._made}"
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.address(name)

    def drop(self, address: str) -> None:
        """Remove a database, whoever is connected to it."""
        name = address.partition("@/")[2].partition("?")[0]
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def close(self) -> None:
        """End it, and remove its files."""
        self.guard.communicate()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), "--pgdata", str(self.data), *arguments]
        subprocess.run(
            command, cwd=self.room, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **self._as
        )
