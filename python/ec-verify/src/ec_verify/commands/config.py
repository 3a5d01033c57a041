"""`ec-verify config check`: is the configuration valid."""

from __future__ import annotations

import sys
from pathlib import Path

from ec_closure.signing import Keyring
from ec_verify import config
from ec_verify.ghost import scratch


def check(file: Path | None = None, /) -> int:
    """Check verify.toml and the policy it names. Nothing is read from store or network.

    Parameters
    ----------
    file: Path
        The configuration; /etc/ec-verify/verify.toml when not given.
    """
    settings = config.load(file)
    if settings.config.rebuild.scratch.startswith("tmpfs:"):
        scratch.parse_size(settings.config.rebuild.scratch.removeprefix("tmpfs:"))
    Keyring.parse(list(settings.policy.cache_keys))
    _ = settings.config.location
    sys.stdout.write(f"{file or config.DEFAULT_PATH} is valid; policy level {settings.policy.level}\n")
    return 0
