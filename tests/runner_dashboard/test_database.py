"""The database: migrated, written by one thread, durable, copied while in use."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from runner_dashboard.data.database import Database
from runner_dashboard.data.migrate import head
from runner_dashboard.data.tables import METADATA
from runner_dashboard.errors import DatabaseError
from runner_dashboard.refusals import BusyError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

KEY = "INSERT INTO signing_keys (secret, made_at) VALUES (x'00', {})"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """Give a database with this version's schema."""
    with Database(tmp_path / "state" / "dashboard.sqlite") as made:
        made.migrate()
        yield made


def add(connection: Connection, number: int = 1) -> int:
    """Insert a row, and return how many there are."""
    connection.execute(text(KEY.format(number)))
    return int(connection.execute(text("SELECT count(*) FROM signing_keys")).scalar_one())


def test_migrations_make_what_the_program_expects(database: Database) -> None:
    """Tables of the code and of the migrations do not drift apart."""
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    """It can be part of every start."""
    assert database.migrate() == (head(), head())
    database.check()


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    """An older program must not write what it does not understand."""
    database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))

    with pytest.raises(DatabaseError, match="does not know"):
        database.migrate()
    with pytest.raises(DatabaseError, match="works with"):
        database.check()


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


def test_readers_cannot_write(database: Database) -> None:
    """What pages ask for changes nothing, whatever a mistake of ours says."""
    with pytest.raises(OperationalError, match="readonly"), database.read() as connection:
        add(connection)


def test_references_hold(database: Database) -> None:
    """A finding belongs to a report."""
    wrong = "INSERT INTO evidence (report_id, envelope, size) VALUES (7, x'00', 1)"

    with pytest.raises(IntegrityError):
        database.write(lambda connection: connection.execute(text(wrong)))


def test_work_that_fails_undoes_itself_alone(database: Database) -> None:
    """What was asked for at the same time is done, and committed together."""

    def fail(connection: Connection) -> None:
        add(connection, 99)
        raise ValueError("a mistake")

    futures = [database.writer.submit(add), database.writer.submit(fail), database.writer.submit(add)]

    assert futures[0].result() == 1
    with pytest.raises(ValueError, match="a mistake"):
        futures[1].result()
    assert futures[2].result() == 2


def test_what_was_taken_is_written_before_the_end(tmp_path: Path) -> None:
    """A stop loses nothing that somebody waits for; afterwards no more is taken."""
    database = Database(tmp_path / "dashboard.sqlite")
    database.migrate()
    futures = [database.writer.submit(add) for _ in range(200)]
    database.close()

    assert list(range(1, 201)) == [future.result() for future in futures]
    with pytest.raises(BusyError):
        database.writer.submit(add)


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
