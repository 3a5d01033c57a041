"""The database, of either kind: migrated, written as a whole or not at all; and the file that SQLite keeps it in."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from runner_dashboard.config import Config
from runner_dashboard.data import migrate, opening
from runner_dashboard.data.copies import restore
from runner_dashboard.data.database import Database
from runner_dashboard.data.tables import METADATA, evidence, signing_keys
from runner_dashboard.errors import DatabaseError
from runner_dashboard.refusals import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from runner_dashboard.config import DatabaseTable


@pytest.fixture
def opened(storage: DatabaseTable, tmp_path: Path) -> Iterator[Database]:
    """Give a database with this version's schema, of either kind."""
    with opening.database(Config(state_dir=str(tmp_path / "state"), database=storage)) as made:
        made.migrate()
        yield made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give a file with this version's schema."""
    with Database(tmp_path / "state" / "dashboard.sqlite") as made:
        made.migrate()
        yield made


def add(connection: Connection, number: int = 1) -> int:
    """Insert a row, and return how many there are."""
    connection.execute(insert(signing_keys).values(secret=b"0", made_at=number))
    return int(connection.execute(text("SELECT count(*) FROM signing_keys")).scalar_one())


def test_migrations_make_what_the_program_expects(opened: Database) -> None:
    """Tables of the code and of the migrations do not drift apart."""
    with opened.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_migrating_again_changes_nothing(opened: Database) -> None:
    """It can be part of every start."""
    head = migrate.head()
    assert opened.migrate() == (head, head)
    opened.check()


def test_a_database_of_a_newer_version_is_left_alone(opened: Database) -> None:
    """An older program must not write what it does not understand."""
    opened.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))

    with pytest.raises(DatabaseError, match="does not know"):
        opened.migrate()
    with pytest.raises(DatabaseError, match="works with"):
        opened.check()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """It is named, and stays as it is."""
    file = tmp_path / "dashboard.sqlite"
    file.write_bytes(b"something else entirely" * 100)
    with Database(file) as database, pytest.raises(DatabaseError, match="not a database") as caught:
        database.migrate()

    assert str(file) == caught.value.place
    assert file.read_bytes().startswith(b"something else")


def test_a_link_in_the_place_of_the_database_is_refused(tmp_path: Path) -> None:
    """Nobody chooses for us where we write."""
    (tmp_path / "dashboard.sqlite").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(DatabaseError):
        Database(tmp_path / "dashboard.sqlite")


def test_the_files_are_closed_to_others(database: Database) -> None:
    """Hashes of tokens and signing keys are in them."""
    database.write(add)

    files = list(database.path.parent.iterdir())
    assert {"dashboard.sqlite", "dashboard.sqlite-wal", "dashboard.sqlite-shm"} == {file.name for file in files}
    assert {0o600} == {stat.S_IMODE(file.stat().st_mode) for file in files}


def test_readers_cannot_write(opened: Database) -> None:
    """What pages ask for changes nothing, whatever a mistake of ours says."""
    with pytest.raises(DBAPIError, match=r"read-?only"), opened.read() as connection:
        add(connection)


def test_references_hold(opened: Database) -> None:
    """A finding belongs to a report."""
    wrong = insert(evidence).values(report_id=7, envelope=b"0", size=1)

    with pytest.raises(IntegrityError):
        opened.write(lambda connection: connection.execute(wrong))


def test_work_that_fails_undoes_itself_alone(opened: Database) -> None:
    """What was asked for at the same time is done."""

    def fail(connection: Connection) -> None:
        add(connection, 99)
        raise ValueError("a mistake")

    futures = [opened.writer.submit(add), opened.writer.submit(fail), opened.writer.submit(add)]

    with pytest.raises(ValueError, match="a mistake"):
        futures[1].result()
    assert {futures[0].result(), futures[2].result()} <= {1, 2}
    assert opened.write(add) == 3


def test_what_was_taken_is_written_before_the_end(storage: DatabaseTable, tmp_path: Path) -> None:
    """A stop loses nothing that somebody waits for; afterwards no more is taken."""
    config = Config(state_dir=str(tmp_path), database=storage)
    database = opening.database(config)
    database.migrate()
    futures = [database.writer.submit(add) for _ in range(200)]
    database.close()

    assert all(future.result() for future in futures)
    with pytest.raises(BusyError):
        database.writer.submit(add)
    with opening.database(config) as again:
        assert again.write(add) == 201


def test_a_commit_that_fails_fails_everything_in_it(database: Database) -> None:
    """No result is given for what is not on the disk."""
    with closing(sqlite3.connect(database.path, isolation_level=None)) as other:
        other.execute("DROP TABLE signing_keys")
    future = database.writer.submit(add)

    with pytest.raises(OperationalError):
        future.result()


def test_a_backup_is_a_database_of_one_moment(database: Database, tmp_path: Path) -> None:
    """It is whole, closed to others, and can be opened in the place of the original."""
    database.write(add)
    target = tmp_path / "backup.sqlite"
    target.write_bytes(b"an older one")
    database.backup(target)
    database.write(add)

    assert 0o600 == stat.S_IMODE(target.stat().st_mode)
    assert [target] == [one for one in tmp_path.iterdir() if one.is_file()]
    with Database(target) as restored:
        restored.check()
        assert restored.write(add) == 2


def test_a_backup_that_fails_leaves_nothing_behind(database: Database, tmp_path: Path) -> None:
    """Neither a part of itself, nor less of what was there."""
    target = tmp_path / "taken"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(DatabaseError, match="no backup"):
        database.backup(target)

    assert {"state", "taken"} == {one.name for one in tmp_path.iterdir()}


class TestRestored:
    """A copy that is put back."""

    def test_it_takes_the_place_of_what_was_there(self, tmp_path: Path) -> None:
        """Which is kept beside it, with what its log held."""
        file, copy = tmp_path / "dashboard.sqlite", tmp_path / "copy.sqlite"
        with Database(file) as database:
            database.migrate()
            database.write(add)
            database.backup(copy)
            database.write(add)
        restore(copy, file)

        with Database(file) as database:
            database.check()
            assert database.write(add) == 2
        with Database(tmp_path / "dashboard.sqlite.before-restore") as database:
            assert database.write(add) == 3
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)

    def test_a_damaged_database_is_replaced(self, database: Database, tmp_path: Path) -> None:
        """That is when it is needed most."""
        copy, file = tmp_path / "copy.sqlite", tmp_path / "dashboard.sqlite"
        database.write(add)
        database.backup(copy)
        file.write_bytes(b"no database any more" * 500)
        (tmp_path / "dashboard.sqlite-wal").write_bytes(b"nor its log")
        restore(copy, file)

        with Database(file) as restored:
            assert restored.write(add) == 2
        assert (tmp_path / "dashboard.sqlite.before-restore").read_bytes().startswith(b"no database any more")

    def test_it_can_be_the_first(self, database: Database, tmp_path: Path) -> None:
        """On a new machine there is nothing to replace."""
        database.write(add)
        database.backup(tmp_path / "copy.sqlite")
        restore(tmp_path / "copy.sqlite", tmp_path / "new" / "dashboard.sqlite")

        with Database(tmp_path / "new" / "dashboard.sqlite") as restored:
            assert restored.write(add) == 2

    @pytest.mark.parametrize("content", [b"something else entirely" * 100, b"", None])
    def test_what_is_no_copy_is_refused(self, database: Database, tmp_path: Path, content: bytes | None) -> None:
        """And nothing is touched."""
        copy = tmp_path / "copy.sqlite"
        if content is not None:
            copy.write_bytes(content)
        database.write(add)
        with pytest.raises(DatabaseError):
            restore(copy, database.path)

        assert database.write(add) == 2
        assert not list(database.path.parent.glob("*.before-restore"))
