"""`ec-verify config check`: is the configuration valid."""

from __future__ import annotations

import sys
from pathlib import Path

from ec_verify import config
from ec_verify.text import printable


def check(file: Path | None = None, /) -> int:
    """Check verify.toml and the policy it names. Nothing is read from store or network.

    Parameters
    ----------
    file: Path
        The configuration; /etc/ec-verify/verify.toml when not given.
    """
    settings = config.load(file)
    shown = printable(str(file or config.DEFAULT_PATH))
    sys.stdout.write(f"{shown} is valid; policy level {settings.policy.level}\n")
    return 0
