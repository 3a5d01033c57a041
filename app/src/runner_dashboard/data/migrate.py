"""Bringing a database to the schema of this version, and telling which one it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from runner_dashboard.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_SCRIPTS = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    return config


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


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to `head` in one transaction, and return the revisions before and after.

    Raises `DatabaseError` for a database that a newer version made, that is damaged, or that is no database.
    """
    config = _config()
    try:
        with engine.begin() as connection:
            before = revision(connection)
            if not known(before):
                raise DatabaseError(
                    f"has the schema {before}, which this version does not know",
                    place=str(engine.url.database),
                    hint="a newer version wrote it: run that one, or restore a backup",
                )
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise failed(error, engine) from error
    return before, head()


def failed(error: SQLAlchemyError, engine: Engine) -> DatabaseError:
    """Return the error for what SQLite complained about."""
    said = str(getattr(error, "orig", None) or error).splitlines()[0]
    return DatabaseError(
        said, place=str(engine.url.database), hint="check the file, the disk's room and who may write there"
    )
