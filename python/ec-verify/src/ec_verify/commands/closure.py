"""`ec-verify closure`: what the database says is in a closure."""

from __future__ import annotations

import sys

import msgspec

from ec_closure.errors import UsageError
from ec_closure.store_db import StoreDatabase
from ec_verify.commands.options import Common, logical
from ec_verify.observe.running import store_path_behind


def closure(path: str | None = None, /, *, common: Common = Common()) -> int:
    """Print the closure of PATH (the running system when not given), read from the store database.

    The database is what is doubted elsewhere: this says what it says, not what is true.

    Parameters
    ----------
    path: str
        A store path, or a link that leads to one.
    """
    config = common.settings().config
    location = config.location
    wanted = config.system.current if path is None else logical(location, path)
    root = store_path_behind(location, wanted)
    if root is None:
        raise UsageError(f"{wanted} leads to no store path", hint="name a store path, or --root and --store-dir")
    with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
        found = database.closure(root)
    if common.json:
        rows = [
            {"path": row.path, "narHash": row.nar_hash.sri, "narSize": row.nar_size, "references": row.references}
            for row in found
        ]
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
    else:
        sys.stdout.writelines(f"{row.path}\n" for row in found)
    return 0
