"""`runner-dashboard restore`."""

from __future__ import annotations

import sys
from pathlib import Path

from runner_dashboard import server
from runner_dashboard.commands.options import Common
from runner_dashboard.data import copies, opening


def restore(copy: Path, /, *, common: Common = Common()) -> int:
    """Put a copy that `backup` wrote in the place of the database, while no server runs.

    The copy is checked before anything is touched. What was there is kept beside it, with the suffix `.before-restore`.
    Sessions and one-time tokens are those of the copy, too; reports that came after it are sent again by no node.

    Parameters
    ----------
    copy: Path
        What `runner-dashboard backup` wrote; it stays as it is.
    """
    config = common.load()
    if config.database_url:
        raise copies.not_ours(opening.place(config))
    with server.held(Path(config.state_dir) / "lock"):
        copies.restore(copy, config.database_file)
    sys.stdout.write(f"{config.database_file}\n")
    return 0
