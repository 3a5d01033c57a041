"""`ec-provision template`: a node.toml to start from."""

from __future__ import annotations

import sys
from importlib.resources import files


def template() -> int:
    """Print a commented node.toml to start from. It is valid as it is, and names a host alone."""
    sys.stdout.write(files("ec_provision").joinpath("template.toml").read_text(encoding="utf-8"))
    return 0
