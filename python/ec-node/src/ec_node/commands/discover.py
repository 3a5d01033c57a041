"""`ec-node discover`: which tuners are there."""

from __future__ import annotations

import ipaddress
import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure.decoding import excerpt
from ec_closure.errors import UsageError
from ec_node import hdhomerun
from ec_node.commands.options import Common
from ec_node.discover import EVERYBODY, find


def discover(
    *,
    target: Annotated[str, Parameter(help="The address to ask; a broadcast address, or a tuner's.")] = EVERYBODY,
    port: Annotated[int, Parameter(help="The UDP port to ask.")] = hdhomerun.PORT,
    seconds: Annotated[float, Parameter(help="How long to wait for answers.")] = 2.0,
    common: Common = Common(),
) -> int:
    """List the HDHomeRun tuners on this network. Exits with 3 when none answers."""
    common.settings()
    try:
        ipaddress.IPv4Address(target)
    except ValueError:
        raise UsageError(f"--target {excerpt(target)!r} is no IPv4 address") from None
    if not 0 < seconds <= 60 or not 0 < port < 65536:  # noqa: PLR2004 - a minute, and the ports there are
        raise UsageError("--seconds is above 0 and at most 60, --port a UDP port")
    found = find(target=(target, port), seconds=seconds)
    if common.json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    for device in () if common.json else found:
        sys.stdout.write(f"{device.device}  {device.host}  {device.tuners} tuners  {excerpt(device.base_url)}\n")
    if not found:
        sys.stderr.write("ec-node: no tuner answers\n  hint: is it on this network, and is UDP port 65001 open?\n")
        return 3
    return 0
