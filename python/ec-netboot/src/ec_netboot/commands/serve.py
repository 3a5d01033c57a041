"""`ec-netboot serve`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from cyclopts import Parameter

from ec_netboot.commands.options import DEFAULTS, Common, state_of
from ec_netboot.serving.server import serve as carry_out


def serve(
    *,
    only: Annotated[
        Literal["http", "boot"] | None,
        Parameter(help="Only HTTP, which needs no rights, or only TFTP and ProxyDHCP, which need some."),
    ] = None,
    common: Common = DEFAULTS,
) -> None:
    """Serve what is staged until it is told to stop. What is staged meanwhile is taken over within seconds.

    SIGHUP reads the chain token again. /healthz says whether every platform can boot, /metrics counts.
    """
    config = common.load()
    asyncio.run(carry_out(config, state_of(config), http=only != "boot", boot=only != "http"))
