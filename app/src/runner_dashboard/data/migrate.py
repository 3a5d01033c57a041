"""Bringing a database to the schema of this version, and telling which one it has."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from runner_dashboard.data.backend import exclusively
from runner_dashboard.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from runner_dashboard.data.backend import Backend

_SCRIPTS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


@functools.cache
def head() -> str:
    """Return the revision that this version works with."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def revision(connection: Connection) -> str | None:
    """Return the revision of a database, None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def known(found: str | None) -> bool:
    """Whether this version knows the revision *found*, or the database is empty."""
    scripts = ScriptDirectory.from_config(_config())
    return found is None or found in {script.revision for script in scripts.walk_revisions()}


def migrate(backend: Backend) -> tuple[str | None, str]:
    """Bring the database to `head` in one transaction, one server at a time, and return the revisions before and after.

    Raises `DatabaseError` for a database that a newer version made, that is damaged, or that is no database.
    """
    config = _config()
    try:
        with backend.writes.begin() as connection:
            exclusively(connection, "migration")
            before = revision(connection)
            if not known(before):
                raise DatabaseError(
                    f"has the schema {before}, which this version does not know",
                    place=backend.place,
                    hint="a newer version wrote it: run that one, or restore a backup",
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise failed(error, backend) from error
    return before, head()


def failed(error: SQLAlchemyError, backend: Backend) -> DatabaseError:
    """Return the error for what the database complained about."""
    said = str(getattr(error, "orig", None) or error).splitlines()[0]
    if backend.shared:
        hint = "check database.url, that the server runs, and what its user may do there"
    else:
        hint = "check the file, the disk's room and who may write there"
    return DatabaseError(said, place=backend.place, hint=hint)
