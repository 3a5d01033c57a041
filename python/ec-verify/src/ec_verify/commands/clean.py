"""`ec-verify clean`: remove what killed runs left."""

from __future__ import annotations

import sys

import msgspec

from ec_verify.commands.options import Common
from ec_verify.ghost import scratch
from ec_verify.text import printable


def clean(*, common: Common = Common()) -> int:
    """Remove scratch directories whose run is over. Scratch of runs under way is kept.

    Every start of a run does the same.
    """
    config = common.settings().config
    plan = scratch.plan(config.rebuild.scratch, config.state)
    removed = scratch.sweep(plan.directory) if plan.directory.is_dir() else []
    if common.json:
        sys.stdout.write(msgspec.json.encode([printable(str(path)) for path in removed]).decode() + "\n")
    else:
        sys.stdout.writelines(f"removed {printable(str(path))}\n" for path in removed)
        if not removed:
            sys.stdout.write("nothing to remove\n")
    return 0
