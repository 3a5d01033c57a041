"""`ec-netboot check`."""

from __future__ import annotations

import sys

import msgspec

from ec_closure.decoding import excerpt
from ec_netboot import config as configuration
from ec_netboot.commands.options import DEFAULTS, Common
from ec_netboot.remarks import remarks


def check(*, common: Common = DEFAULTS) -> None:
    """Check netboot.toml and print what in it deserves a second look. Nothing else is read."""
    config = common.load()
    shown = excerpt(str(common.config or configuration.DEFAULT_PATH))
    found = remarks(config)
    if common.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    sys.stdout.write(f"{shown} is valid\n")
    sys.stdout.writelines(f"note: {text}\n" for text in found)
