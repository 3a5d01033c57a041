"""`runner-dashboard migrate`."""

from __future__ import annotations

import sys

from runner_dashboard.commands.options import Common
from runner_dashboard.data.database import Database


def migrate(*, common: Common = Common()) -> int:
    """Bring the database to this version's schema, all or nothing.

    `serve` does so too, unless `database.migrate` is off.
    Make a backup before: an older version cannot read what a newer one migrated.
    """
    config = common.load()
    with Database(config.database_file) as database:
        before, after = database.migrate()
    said = f"is at {after}" if before == after else f"went from {before or 'nothing'} to {after}"
    sys.stdout.write(f"{config.database_file} {said}\n")
    return 0
