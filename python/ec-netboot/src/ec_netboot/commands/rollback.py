"""`ec-netboot rollback`."""

from __future__ import annotations

import sys

import msgspec

from ec_netboot.commands.options import DEFAULTS, Common, OnePlatform, now, one_platform, state_of
from ec_netboot.staging.rollback import rollback as carry_out


def rollback(*, platform: OnePlatform = None, common: Common = DEFAULTS) -> None:
    """Serve the previous release again. It stays until a release appears that is newer than those known now."""
    config = common.load()
    chosen = one_platform(config, platform)
    release = carry_out(state_of(config), chosen, made=int(now(None).timestamp()))
    if common.json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(release), indent=2).decode() + "\n")
    else:
        sys.stdout.write(f"{chosen}: {release.asset} is served again\n")
