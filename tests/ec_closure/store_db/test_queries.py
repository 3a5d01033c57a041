"""What a store's database answers, and copies of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_closure.hashes import Hash
from ec_closure.nar.hash import hash_path
from ec_closure.store_db import InvalidPathError, PathInfo, StoreDatabase, StoreDatabaseError

if TYPE_CHECKING:
    from tests.conftest import NixStore
    from tests.ec_closure.store_db.conftest import State

HASH = Hash.of("sha256", b"x")
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


def path(name: str) -> str:
    """Return a store path called *name*."""
    return "/nix/store/" + name[0] * 32 + "-" + name


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
