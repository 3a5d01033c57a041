"""From the configuration to the database that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner_dashboard.data import postgresql
from runner_dashboard.data.database import Database

if TYPE_CHECKING:
    from runner_dashboard.config import Config


def database(config: Config) -> Database:
    """Return the database that *config* names. Raises `ConfigError` or `DatabaseError`."""
    url = config.database_url
    return Database(postgresql.parsed(url) if url else config.database_file)


def place(config: Config) -> str:
    """Return how the database is called in messages, without opening it. Raises `ConfigError`."""
    url = config.database_url
    return postgresql.place(postgresql.parsed(url)) if url else str(config.database_file)
