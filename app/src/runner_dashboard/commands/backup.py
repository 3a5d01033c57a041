"""`runner-dashboard backup`."""

from __future__ import annotations

import sys
from pathlib import Path

from runner_dashboard.commands.options import Common
from runner_dashboard.data.database import Database
from runner_dashboard.errors import DatabaseError


def backup(target: Path, /, *, common: Common = Common()) -> int:
    """Write a copy of the database to a file, as it was at one moment, while the server runs. The copy is checked.

    To restore: stop the server, put the copy in the place of `dashboard.sqlite`, remove `dashboard.sqlite-wal` and
    `dashboard.sqlite-shm`, start the server. The copy holds the keys that sign sessions: keep it as you keep those.

    Parameters
    ----------
    target: Path
        The file to write; it is replaced as a whole.
    """
    config = common.load()
    if not config.database_file.exists():
        raise DatabaseError("there is no database", place=str(config.database_file), hint="see state_dir")
    with Database(config.database_file) as database:
        database.backup(target)
    sys.stdout.write(f"{target}\n")
    return 0
