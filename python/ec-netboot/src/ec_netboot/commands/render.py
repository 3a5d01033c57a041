"""`ec-netboot render`."""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_netboot.commands.options import DEFAULTS, Common, OnePlatform, one_platform, state_of
from ec_netboot.errors import NotStagedError
from ec_netboot.script import render as as_script


def render(
    *,
    platform: OnePlatform = None,
    url: Annotated[str, Parameter(help="This server as machines see it, with a slash at its end.")] = "",
    common: Common = DEFAULTS,
) -> None:
    """Print the boot script of the staged release, as `serve` would.

    Without an address (--url, or script.url in netboot.toml) it works only when it comes from this server.
    """
    config = common.load()
    chosen = one_platform(config, platform)
    state = state_of(config)
    release = state.served(chosen)
    if release is None:
        raise NotStagedError(f"nothing is staged for {chosen}", place=str(state.path), hint="ec-netboot stage")
    standing = state.standing()
    reason = standing.excludes(release.version) if standing else None
    if reason:
        raise NotStagedError(f"release {release.version} {reason}", place=release.asset, hint="ec-netboot stage")
    text = as_script(release, base=url or config.base, extra=config.script.kernel_parameters)
    sys.stdout.write(msgspec.json.encode({"script": text}).decode() + "\n" if common.json else text)
