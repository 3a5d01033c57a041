"""`runner-dashboard migrate`."""

from __future__ import annotations

import sys

from runner_dashboard.commands.options import Common
from runner_dashboard.data import opening


def migrate(*, common: Common = Common()) -> int:
    """Bring the database to this version's schema, all or nothing.

    `serve` does so too, unless `database.migrate` is off.
    Make a backup before: an older version cannot read what a newer one migrated.
    """
    config = common.load()
    with opening.database(config) as database:
        before, after = database.migrate()
    said = f"is at {after}" if before == after else f"went from {before or 'nothing'} to {after}"
    sys.stdout.write(f"{opening.place(config)} {said}\n")
    return 0
