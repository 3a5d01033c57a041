"""`ec-netboot clean`."""

from __future__ import annotations

import sys

import msgspec

from ec_netboot.commands.options import DEFAULTS, Common, state_of


def clean(*, common: Common = DEFAULTS) -> None:
    """Remove what killed runs left, and releases that nothing leads back to. Every `stage` does the same."""
    config = common.load()
    state = state_of(config)
    with state.locked():
        removed = [*state.swept, *state.prune(config.keep)]
    if common.json:
        sys.stdout.write(msgspec.json.encode(removed).decode() + "\n")
        return
    sys.stdout.writelines(f"removed {name}\n" for name in removed)
    if not removed:
        sys.stdout.write("nothing to remove\n")
