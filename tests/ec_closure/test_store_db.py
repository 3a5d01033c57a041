from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec_closure.hashes import Hash
from ec_closure.nar.hash import hash_path
from ec_closure.store_db import InvalidPathError, PathInfo, StoreDatabase, StoreDatabaseError, StoreSchemaError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import NixStore

NOBODY = 65534
HASH = Hash.of("sha256", b"x")
# The schema of a store, with no constraint that would keep bad rows out.
SCHEMA = """
    CREATE TABLE ValidPaths (
        id integer PRIMARY KEY, path, hash, registrationTime, deriver, narSize, ultimate, sigs, ca
    );
    CREATE TABLE Refs (referrer integer, reference integer);
    CREATE TABLE DerivationOutputs (drv integer, id, path);
"""
GRAPH = """
  let
    make = name: dependencies: derivation {
      inherit name dependencies; system = builtins.currentSystem; builder = "/bin/sh";
      args = [ "-c" "echo $out $dependencies > $out" ];
    };
    a = make "a" [ ];
    b = make "b" [ a (builtins.toFile "text" "text") ];
    c = make "c" [ a b ];
  in [ c (make "d" [ ]) ]
"""
# What another user or another view of the file system sees, as JSON.
READ = """
import json, sys
from pathlib import Path
from ec_closure.errors import EcError
from ec_closure.store_db import StoreDatabase
try:
    with StoreDatabase.open(Path(sys.argv[1])) as database:
        print(json.dumps(sorted(database.all_infos())))
except EcError as error:
    print(json.dumps(str(error)))
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

    def read(self, *command: str, **how: Any) -> Any:
        """Read all paths in another process, and return them, or the error."""
        argv = [*command, sys.executable, "-c", READ, str(self.directory)]
        done = subprocess.run(argv, capture_output=True, check=False, env={}, cwd="/", **how)
        if done.returncode:
            pytest.skip(f"cannot run {command or how}: {done.stderr.decode()[-200:]}")
        return json.loads(done.stdout)


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


class TestQueries:
    """What can be asked."""

    def test_a_path_has_all_that_is_known_of_it(self, state: State) -> None:
        """Each column in its place, references sorted."""
        state.add("b", deriver=path("d.drv"), ultimate=1, sigs="k-1:AA k-2:BB", ca="text:x", registrationTime=9)
        state.add("a", "b")
        state.add("c", "b", "a")
        state.writer.execute("INSERT INTO Refs SELECT id, id FROM ValidPaths WHERE path = ?", [path("c")])

        with state.open() as database:
            assert PathInfo(
                path=path("b"),
                nar_hash=HASH,
                nar_size=120,
                references=(),
                deriver=path("d.drv"),
                ultimate=True,
                signatures=("k-1:AA", "k-2:BB"),
                ca="text:x",
                registration_time=9,
            ) == database.path_info(path("b"))
            assert PathInfo(path("c"), HASH, 120, (path("a"), path("b"), path("c")), registration_time=1) == (
                database.path_info(path("c"))
            )
            assert database.path_info(path("d")) is None

    def test_all_at_once_equals_one_by_one(self, state: State) -> None:
        """Sorted, too."""
        for name, references in (("c", ""), ("b", "c"), ("a", "bc"), ("d", "")):
            state.add(name, *references)

        with state.open() as database:
            everything = database.all_infos()
            assert [path(name) for name in "abcd"] == list(everything) == database.valid_paths()
            assert list(everything.values()) == [database.path_info(found) for found in everything]

    def test_closures_end_where_references_go_round(self, state: State) -> None:
        """Cycles cannot be built, but a forged database can hold them."""
        for name in "abcd":
            state.add(name)
        state.writer.execute("INSERT INTO Refs VALUES (1, 2), (2, 3), (3, 1), (4, 1), (1, 1)")

        with state.open() as database:
            assert [path(name) for name in "abc"] == [info.path for info in database.closure(path("b"))]
            assert {path(name) for name in "abcd"} == database.referrers_closure([path("c")])
            assert {path("d")} == database.referrers_closure([path("d"), path("f")])
            assert set() == database.referrers_closure([])

    def test_the_closure_of_nothing_is_an_error(self, state: State) -> None:
        """An empty closure would verify."""
        with state.open() as database, pytest.raises(InvalidPathError, match="not valid"):
            database.closure(path("a"))


@pytest.mark.nix
class TestAgainstNix:
    """A store that Nix filled."""

    @pytest.fixture(scope="class")
    def outputs(self, nix_store: NixStore) -> list[str]:
        """Build a small graph."""
        return nix_store.build(GRAPH)

    def test_closures_equal_those_of_nix(self, nix_store: NixStore, outputs: list[str]) -> None:
        """In both directions, for every path of the store, derivations and sources included."""
        with StoreDatabase.open(nix_store.state_dir, store_dir=nix_store.store_dir) as database:
            valid = database.valid_paths()
            assert {*outputs} < {*valid}
            assert len(valid) >= 9
            for found in valid:
                theirs = nix_store.run("nix-store", "--query", "--requisites", found).split()
                assert sorted(theirs) == [info.path for info in database.closure(found)]
                theirs = nix_store.run("nix-store", "--query", "--referrers-closure", found).split()
                assert {*theirs} == database.referrers_closure([found])

    def test_every_row_tells_what_is_on_disk(self, nix_store: NixStore, outputs: list[str]) -> None:
        """The hashes and sizes that Nix recorded are those of the bytes."""
        with StoreDatabase.open(nix_store.state_dir, store_dir=nix_store.store_dir) as database:
            everything = database.all_infos()
        for info in everything.values():
            found = hash_path(Path(info.path))
            assert (info.nar_hash, info.nar_size) == (found.hash, found.size)
        assert {*outputs} <= {info.path for info in everything.values() if info.ultimate and info.deriver}

    def test_nix_works_with_a_backup(self, nix_store: NixStore, outputs: list[str], tmp_path: Path) -> None:
        """As it would with the original."""
        (tmp_path / "var" / "db").mkdir(parents=True)
        shutil.copy(nix_store.state_dir / "db" / "schema", tmp_path / "var" / "db")
        with StoreDatabase.open(nix_store.state_dir, store_dir=nix_store.store_dir) as database:
            database.backup(tmp_path / "var" / "db" / "db.sqlite")
            theirs = nix_store.run(
                "env", f"NIX_STATE_DIR={tmp_path / 'var'}", "nix-store", "--query", "--requisites", outputs[0]
            )

            assert [info.path for info in database.closure(outputs[0])] == sorted(theirs.split())


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
    def test_another_user_reads_a_live_database(self, shared: Path) -> None:
        """Beside the daemon, without any right to write."""
        state = State(shared / "var")
        with contextlib.closing(state.writer):
            state.add("a")

            assert [path("a")] == state.read(user=NOBODY, group=NOBODY)

    @pytest.mark.root
    def test_another_user_reads_a_database_at_rest(self, shared: Path) -> None:
        """Without the files that SQLite would like to make beside it."""
        state = State(shared / "var")
        state.add("a")
        state.writer.close()

        assert [path("a")] == state.read(user=NOBODY, group=NOBODY)
        assert sorted(file.name for file in state.file.parent.iterdir()) == ["db.sqlite", "schema"]

    @pytest.mark.root
    def test_another_user_reads_a_log_that_was_left_behind(self, shared: Path) -> None:
        """The machine crashed: half of the truth is in the log, and ``immutable`` would miss it."""
        live = State(shared / "live")
        with contextlib.closing(live.writer):
            live.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            live.add("a")
            left = shared / "left" / "db"
            left.mkdir(parents=True)
            for name in ("db.sqlite", "db.sqlite-wal", "schema"):
                shutil.copy(live.file.parent / name, left)
        crashed = State.__new__(State)
        crashed.directory = left.parent

        assert [path("a")] == crashed.read(user=NOBODY, group=NOBODY)
        assert sorted(file.name for file in left.iterdir()) == ["db.sqlite", "db.sqlite-wal", "schema"]

    @pytest.mark.root
    def test_a_read_only_medium_is_read(self, shared: Path) -> None:
        """By root, whom permissions do not stop."""
        state = State(shared / "var")
        state.add("a")
        state.writer.close()
        mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'

        assert [path("a")] == state.read("unshare", "-m", "sh", "-c", mount, str(state.directory))
        assert sorted(file.name for file in state.file.parent.iterdir()) == ["db.sqlite", "schema"]

    @pytest.mark.root
    def test_a_read_only_medium_with_a_log_is_read(self, shared: Path) -> None:
        """An image of a machine that was running."""
        live = State(shared / "live")
        with contextlib.closing(live.writer):
            live.add("a")
            shutil.copytree(live.directory, shared / "image", ignore=shutil.ignore_patterns("*-shm"))
        image = State.__new__(State)
        image.directory = shared / "image"
        mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'

        assert [path("a")] == image.read("unshare", "-m", "sh", "-c", mount, str(image.directory))

    def test_a_rollback_journal_is_rolled_back_in_a_copy(self, tmp_path: Path) -> None:
        """Stores on file systems without shared memory use one; after a crash the file alone holds half a change."""
        live = State(tmp_path / "live")
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

    def test_a_name_is_a_name(self, tmp_path: Path) -> None:
        """Whatever the state directory is called, it is not part of a URI."""
        state = State(tmp_path / "a?mode=rw#%41 'b")
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


class TestRefusals:
    """What is not a store database, or not one that is understood."""

    @pytest.mark.parametrize(
        ("schema", "said"),
        [
            ("11", "schema 11, newer than the 10"),
            ("9", "schema 9, older than the 10"),
            ("", "no schema"),
            ("x", "no schema"),
        ],
    )
    def test_other_schemas_are_named(self, state: State, schema: str, said: str) -> None:
        """Both versions, the one that is there and the one that is understood."""
        (state.directory / "db" / "schema").write_text(schema)

        with pytest.raises(StoreSchemaError, match=said):
            state.open()

    @pytest.mark.parametrize(
        ("statement", "said"),
        [
            ("DROP TABLE Refs", "no table Refs"),
            ("DROP TABLE DerivationOutputs", "no table DerivationOutputs"),
            ("ALTER TABLE ValidPaths RENAME COLUMN ca TO contentAddress", "ValidPaths has no ca"),
            ("DROP TABLE Refs; CREATE TABLE Refs (referrer integer, reference text)", "not declared as integer"),
            ("ALTER TABLE Refs RENAME TO R; CREATE VIEW Refs AS SELECT * FROM R", "no table Refs"),
        ],
    )
    def test_missing_tables_and_columns_are_named(self, state: State, statement: str, said: str) -> None:
        """A view is no table: it could answer anything. Untyped numbers would make queries quadratic."""
        state.writer.executescript(statement)

        with pytest.raises(StoreSchemaError, match=said):
            state.open()

    def test_what_later_versions_add_is_no_obstacle(self, state: State) -> None:
        """Tables for realisations, columns for whatever."""
        state.writer.executescript("CREATE TABLE BuildTraceV3 (x); ALTER TABLE ValidPaths ADD COLUMN later")
        state.add("a")

        with state.open() as database:
            assert [path("a")] == list(database.all_infos())

    @pytest.mark.parametrize("missing", ["", "db", "db/schema", "db/db.sqlite"])
    def test_missing_files_are_typed_errors(self, state: State, missing: str) -> None:
        """With the place of what is missing."""
        target = state.directory / missing
        target.rename(state.directory.parent / "away")

        with pytest.raises(StoreDatabaseError, match="no such file"):
            state.open()

    @pytest.mark.parametrize(
        "content", [b"", b"garbage" * 1000, b"SQLite format 3\0", b"SQLite format 3\0" + bytes(9000)]
    )
    def test_other_files_are_typed_errors(self, state: State, content: bytes) -> None:
        """Empty ones, too, which SQLite takes for a database."""
        state.writer.close()
        state.file.write_bytes(content)

        with pytest.raises(StoreDatabaseError):
            state.open()

    def test_a_directory_in_place_of_the_file_is_a_typed_error(self, state: State) -> None:
        """As anything else that cannot be opened."""
        state.writer.close()
        state.file.unlink()
        state.file.mkdir()

        with pytest.raises(StoreDatabaseError, match="directory"):
            state.open()

    @pytest.mark.parametrize(
        ("column", "value", "said"),
        [
            ("hash", None, "hash is NoneType"),
            ("hash", 7, "hash is int"),
            ("hash", b"sha256:", "hash is bytes"),
            ("hash", "", "names no algorithm"),
            ("hash", HASH.base16, "names no algorithm"),
            ("hash", f"sha256:{HASH.base16[:-1]}", "63 characters"),
            ("hash", Hash.of("sha512", b"").nix32, "sha512, not sha256"),
            ("narSize", None, "narSize is None"),
            ("narSize", 0, "narSize is 0"),
            ("narSize", -1, "narSize is -1"),
            ("narSize", "many", "narSize is 'many'"),
            ("narSize", 1.5, "narSize is 1.5"),
            ("registrationTime", None, "registrationTime"),
            ("path", None, "a path is NoneType"),
            ("path", b"\xff", "a path is bytes"),
            ("path", "/gnu/store/" + "a" * 32 + "-x", "not a path directly below /nix/store"),
            ("path", "/nix/store/../etc/passwd", "not a path"),
            ("deriver", 3, "deriver is int"),
            ("sigs", b"x", "sigs is bytes"),
            ("ca", 1.5, "ca is float"),
        ],
    )
    def test_damaged_rows_are_typed_errors(self, state: State, column: str, value: Any, said: str) -> None:
        """They name what is wrong with which path, and are never passed on."""
        state.add("b")
        state.add("a", **{column: value})

        with state.open() as database:
            with pytest.raises(StoreDatabaseError, match=said) as caught:
                database.all_infos()
            assert str(state.file) in str(caught.value.place)
            assert database.path_info(path("b")) is not None
            if column != "path":
                with pytest.raises(StoreDatabaseError, match=said):
                    database.closure(path("a"))

    def test_text_that_is_no_unicode_is_a_typed_error(self, state: State) -> None:
        """SQLite does not check what it stores."""
        state.add("a")
        state.writer.execute("UPDATE ValidPaths SET sigs = CAST(x'ff' AS text)")

        with state.open() as database, pytest.raises(StoreDatabaseError, match="SQLite says"):
            database.all_infos()

    def test_references_to_nowhere_are_typed_errors(self, state: State) -> None:
        """A path that refers to what is not valid is not whole."""
        state.add("a")
        state.writer.execute("INSERT INTO Refs VALUES (1, 99)")

        with state.open() as database:
            for ask in (database.all_infos, lambda: database.closure(path("a")), lambda: database.path_info(path("a"))):
                with pytest.raises(StoreDatabaseError):
                    ask()

    @given(st.data())
    @settings(max_examples=60)
    def test_a_damaged_file_gives_typed_errors_only(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        """Wherever pages are overwritten or cut off; a database that still reads is read."""
        state = State(tmp_path_factory.mktemp("damaged") / "var")
        for name in "abcdfg":
            state.add(name, sigs="x" * 3000)
        state.add("h", *"abcdfg")
        state.writer.close()
        raw = bytearray(state.file.read_bytes())
        at = data.draw(st.integers(0, len(raw) - 1) | st.integers(0, 120))
        if data.draw(st.booleans()):
            raw[at : at + 50] = data.draw(st.binary(min_size=1, max_size=50))
        else:
            del raw[at:]
        state.file.write_bytes(raw)

        try:
            with state.open() as database:
                for info in database.all_infos().values():
                    database.closure(info.path)
                database.backup(state.directory / "copy")
        except StoreDatabaseError as error:
            message = str(error)
        else:
            message = str(state.directory)
        assert str(state.directory) in message


class TestBackup:
    """Copies of a database in use."""

    def test_a_backup_holds_what_is_in_the_log(self, state: State) -> None:
        """Copying the file alone would lose it."""
        state.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        state.add("a")
        with state.open() as database:
            database.backup(state.directory / "copy")

        assert path("a").encode() not in state.file.read_bytes()
        assert path("a").encode() in (state.directory / "copy").read_bytes()

    def test_a_backup_overwrites_nothing(self, state: State, tmp_path: Path) -> None:
        """And leaves nothing behind when it fails."""
        (tmp_path / "copy").write_text("kept")
        with state.open() as database:
            with pytest.raises(StoreDatabaseError, match="already exists"):
                database.backup(tmp_path / "copy")
            with pytest.raises(StoreDatabaseError):
                database.backup(tmp_path / "no" / "copy")

        assert (tmp_path / "copy").read_text() == "kept"
        assert {"copy", "var"} == {file.name for file in tmp_path.iterdir()}

    def test_a_backup_can_be_written_by_whoever_made_it(self, state: State) -> None:
        """It is a database like any other: a scratch store goes on with it."""
        state.add("a")
        with state.open() as database:
            database.backup(state.directory / "copy")
        with contextlib.closing(sqlite3.connect(state.directory / "copy")) as copy:
            copy.execute("DELETE FROM ValidPaths")

        assert os.access(state.directory / "copy", os.W_OK)
        with state.open() as database:
            assert [path("a")] == database.valid_paths()
