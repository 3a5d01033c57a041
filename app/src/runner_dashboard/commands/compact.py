"""`runner-dashboard compact`."""

from __future__ import annotations

import sys
import time

import msgspec

from runner_dashboard.commands.options import Common
from runner_dashboard.data import opening
from runner_dashboard.retention.compact import compact as compacted


def compact(*, json: bool = False, common: Common = Common()) -> int:
    """Remove what is older than `[retention]` says, now; also while the server runs.

    Never removed are the last report of each node, the newest of each node and release, and what an acknowledgement
    that has not ended covers. SQLite's file does not shrink: its room is used again.

    Parameters
    ----------
    json: bool
        Print how many rows went, by table, as JSON.
    """
    config = common.load()
    with opening.database(config) as database:
        database.check()
        removed = compacted(database, config, int(time.time()))
    if json:
        sys.stdout.write(msgspec.json.encode({"rows": removed.rows, "days": removed.days}).decode() + "\n")
        return 0
    for table, count in sorted(removed.rows.items()):
        sys.stdout.write(f"{count:10}  {table}\n")
    if removed.elsewhere:
        sys.stdout.write("another server compacts at this moment\n")
    elif not any(removed.rows.values()):
        sys.stdout.write("nothing is old enough\n")
    return 0
