"""What is not a store's database, or a damaged one, gives a typed error that says where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ec_closure.hashes import Hash
from ec_closure.store_db import StoreDatabaseError, StoreSchemaError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_closure.store_db.conftest import State

HASH = Hash.of("sha256", b"x")


def path(name: str) -> str:
    """Return a store path called *name*."""
    return "/nix/store/" + name[0] * 32 + "-" + name


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

    @pytest.mark.parametrize(
        "statement",
        [
            "DROP INDEX IndexReferrer",
            "DROP INDEX IndexReferrer; CREATE INDEX IndexReferrer ON Refs(referrer) WHERE referrer > 9",
            "DROP INDEX IndexReferrer; CREATE INDEX IndexReferrer ON Refs(reference, referrer)",
        ],
    )
    def test_a_closure_without_an_index_is_refused(self, state: State, statement: str) -> None:
        """Each of a hundred thousand levels would read the whole table; all paths together are read once."""
        state.add("a")
        state.writer.executescript(statement)

        with state.open() as database:
            assert [path("a")] == list(database.all_infos())
            with pytest.raises(StoreSchemaError, match="no index of references"):
                database.closure(path("a"))

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
        self, new_state: Callable[[Path], State], tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        """Wherever pages are overwritten or cut off; a database that still reads is read."""
        state = new_state(tmp_path_factory.mktemp("damaged") / "var")
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
