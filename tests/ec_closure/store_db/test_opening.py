"""A store's database opens whatever state its files are in and whoever looks, and nothing is written."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.hashes import Hash
from ec_closure.store_db import PathInfo, StoreDatabase, StoreDatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_closure.store_db.conftest import State

HASH = Hash.of("sha256", b"x")
NOBODY = 65534
# What another user or another view of the file system sees, as JSON. Rights are dropped when everything is imported:
# the other user may not be able to enter the directory that this program lies in.
READ = """
import json, os, sys
from pathlib import Path
from ec_closure.errors import EcError
from ec_closure.store_db import StoreDatabase
user = int(sys.argv[2])
if user:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
try:
    with StoreDatabase.open(Path(sys.argv[1])) as database:
        seen = sorted(database.all_infos())
except EcError as error:
    seen = str(error)
print(json.dumps([*os.getresuid(), *os.getresgid(), seen]))
"""
# Runs what follows where $0 is mounted read-only.
READ_ONLY = ("unshare", "-m", "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"')


def path(name: str) -> str:
    """Return a store path called *name*."""
    return "/nix/store/" + name[0] * 32 + "-" + name


def read(directory: Path, *, user: int = 0, command: tuple[str, ...] = ()) -> Any:
    """Read all paths in another process, and return them, or the error."""
    argv = [*command, sys.executable, "-c", READ, str(directory), str(user)]
    done = subprocess.run(argv, capture_output=True, check=False, env={}, cwd="/")

    assert (0, "") == (done.returncode, done.stderr.decode())
    *ids, seen = json.loads(done.stdout)
    assert [user] * 6 == ids
    return seen


def read_as_nobody(directory: Path) -> Any:
    """Read all paths as a user without rights."""
    return read(directory, user=NOBODY)


def read_on_a_read_only_medium(directory: Path) -> Any:
    """Read all paths where nothing can be written."""
    command = (*READ_ONLY, str(directory))
    probe = subprocess.run([*command, "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip(f"cannot mount: {probe.stderr.decode()[-200:]}")
    return read(directory, command=command)


class TestOpening:
    """Whatever state the files are in, and whoever looks (P35)."""

    def test_what_a_live_writer_committed_is_seen(self, state: State) -> None:
        """It is still in the write-ahead log; what is not committed is not seen."""
        state.add("a")
        with state.open() as database:
            state.add("b")
            state.writer.execute("BEGIN")
            state.add("c")

            assert [path("a"), path("b")] == database.valid_paths()
            state.writer.execute("COMMIT")
            assert [path("a"), path("b"), path("c")] == database.valid_paths()

    def test_two_queries_see_one_moment(self, state: State) -> None:
        """A path registered between them has no row for its references yet."""
        state.add("a")
        with state.open() as database:

            def meanwhile(statement: str) -> None:
                if "FROM Refs" in statement and len(state.writer.execute("SELECT * FROM ValidPaths").fetchall()) == 1:
                    state.add("b", "a")

            database._connection.set_trace_callback(meanwhile)
            before = database.all_infos()
            database._connection.set_trace_callback(None)

            assert [path("a")] == list(before)
            assert [path("a"), path("b")] == list(database.all_infos())

    @pytest.mark.root
    def test_another_user_reads_a_live_database(self, new_state: Callable[[Path], State], shared: Path) -> None:
        """Beside the daemon, without any right to write."""
        state = new_state(shared / "var")
        with contextlib.closing(state.writer):
            state.add("a")

            assert [path("a")] == read_as_nobody(state.directory)

    @pytest.mark.root
    def test_another_user_reads_a_database_at_rest(self, new_state: Callable[[Path], State], shared: Path) -> None:
        """Without the files that SQLite would like to make beside it."""
        state = new_state(shared / "var")
        state.add("a")
        state.writer.close()

        assert [path("a")] == read_as_nobody(state.directory)
        assert sorted(file.name for file in state.file.parent.iterdir()) == ["db.sqlite", "schema"]

    @pytest.mark.root
    def test_another_user_reads_a_log_that_was_left_behind(
        self, new_state: Callable[[Path], State], shared: Path
    ) -> None:
        """The machine crashed: half of the truth is in the log, and ``immutable`` would miss it."""
        live = new_state(shared / "live")
        with contextlib.closing(live.writer):
            live.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            live.add("a")
            left = shared / "left" / "db"
            left.mkdir(parents=True)
            for name in ("db.sqlite", "db.sqlite-wal", "schema"):
                shutil.copy(live.file.parent / name, left)

        assert [path("a")] == read_as_nobody(left.parent)
        assert sorted(file.name for file in left.iterdir()) == ["db.sqlite", "db.sqlite-wal", "schema"]

    @pytest.mark.root
    def test_a_read_only_medium_is_read(self, new_state: Callable[[Path], State], shared: Path) -> None:
        """By root, whom permissions do not stop."""
        state = new_state(shared / "var")
        state.add("a")
        state.writer.close()

        assert [path("a")] == read_on_a_read_only_medium(state.directory)
        assert sorted(file.name for file in state.file.parent.iterdir()) == ["db.sqlite", "schema"]

    @pytest.mark.root
    def test_a_read_only_medium_with_a_log_is_read(self, new_state: Callable[[Path], State], shared: Path) -> None:
        """An image of a machine that was running."""
        live = new_state(shared / "live")
        with contextlib.closing(live.writer):
            live.add("a")
            shutil.copytree(live.directory, shared / "image", ignore=shutil.ignore_patterns("*-shm"))

        assert [path("a")] == read_on_a_read_only_medium(shared / "image")

    def test_a_rollback_journal_is_rolled_back_in_a_copy(
        self, new_state: Callable[[Path], State], tmp_path: Path
    ) -> None:
        """Stores on file systems without shared memory use one; after a crash the file alone holds half a change."""
        live = new_state(tmp_path / "live")
        with contextlib.closing(live.writer):
            live.writer.execute("PRAGMA journal_mode = truncate")
            live.add("a")
            live.writer.executescript("PRAGMA cache_size = 1; BEGIN")
            live.writer.execute("UPDATE ValidPaths SET sigs = 'half'")
            for number in range(500):
                live.writer.execute("INSERT INTO Refs VALUES (?, ?)", [number, "x" * 2000])
            shutil.copytree(live.directory, tmp_path / "crashed")
            live.writer.execute("ROLLBACK")
        before = (tmp_path / "crashed" / "db" / "db.sqlite").read_bytes()

        assert (tmp_path / "crashed" / "db" / "db.sqlite-journal").stat().st_size
        with StoreDatabase.open(tmp_path / "crashed") as database:
            assert {path("a"): PathInfo(path("a"), HASH, 120, (), registration_time=1)} == database.all_infos()
        assert before == (tmp_path / "crashed" / "db" / "db.sqlite").read_bytes()

    def test_nothing_can_be_written_through_it(self, state: State) -> None:
        """Not even by mistake."""
        state.add("a")
        with state.open() as database, pytest.raises(sqlite3.OperationalError, match=r"readonly|query_only"):
            database._connection.execute("DELETE FROM ValidPaths")

    def test_a_name_is_a_name(self, new_state: Callable[[Path], State], tmp_path: Path) -> None:
        """Whatever the state directory is called, it is not part of a URI."""
        state = new_state(tmp_path / "a?mode=rw#%41 'b")
        state.add("a")
        state.writer.close()

        with state.open() as database:
            assert [path("a")] == database.valid_paths()

    def test_closing_twice_does_no_harm(self, state: State) -> None:
        """And afterwards nothing can be read, with a typed error."""
        database = state.open()
        database.close()
        database.close()

        with pytest.raises(StoreDatabaseError, match="closed"):
            database.valid_paths()
