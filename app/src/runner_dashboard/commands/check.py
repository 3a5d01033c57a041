"""`runner-dashboard check`."""

from __future__ import annotations

import sys

from runner_dashboard.commands.options import Common
from runner_dashboard.data import opening


def check(*, common: Common = Common()) -> int:
    """Read the configuration and the environment, and nothing else, so that it can run where an image is made.

    Mistakes end with exit code 2 and name the key. What is valid and deserves a second look is printed.
    """
    config = common.load()
    sys.stdout.write(f"valid; the database is {opening.place(config)}\n")
    sys.stdout.writelines(f"look at: {remark}\n" for remark in config.remarks())
    return 0
