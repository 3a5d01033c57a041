"""`ec-provision template`: a node.toml to start from."""

from __future__ import annotations

import sys

from ec_provision.template import TEXT


def template() -> int:
    """Print a commented node.toml to start from. It is valid as it is, and names a host alone."""
    sys.stdout.write(TEXT)
    return 0
