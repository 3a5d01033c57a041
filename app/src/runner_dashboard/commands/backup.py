"""`runner-dashboard backup`."""

from __future__ import annotations

import sys
from pathlib import Path

from runner_dashboard.commands.options import Common
from runner_dashboard.data import copies, opening
from runner_dashboard.errors import DatabaseError


def backup(target: Path, /, *, common: Common = Common()) -> int:
    """Write a copy of the database to a file, as it was at one moment, while the server runs. The copy is checked.

    `runner-dashboard restore` puts it back. The copy holds the keys that sign sessions: keep it as you keep those.
    PostgreSQL's own `pg_dump` copies a database there.

    Parameters
    ----------
    target: Path
        The file to write; it is replaced as a whole.
    """
    config = common.load()
    if config.database_url:
        raise copies.not_ours(opening.place(config))
    if not config.database_file.exists():
        raise DatabaseError("there is no database", place=str(config.database_file), hint="see state_dir")
    copies.backup(config.database_file, target)
    sys.stdout.write(f"{target}\n")
    return 0
