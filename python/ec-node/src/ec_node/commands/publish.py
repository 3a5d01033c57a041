"""`ec-node publish`: one broadcast, until stopped."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ec_node.clock import Clock
from ec_node.commands.options import Common
from ec_node.notify import Notifier
from ec_node.service import Service


def publish(
    *,
    broadcast: Annotated[Path, Parameter(help="The file of the broadcast.")],
    once: Annotated[bool, Parameter(help="End with the input, instead of serving what it left.", negative=())] = False,
    common: Common = Common(),
) -> int:
    """Publish one broadcast.

    Until its first segment is out, whatever goes wrong ends the command, with one line that says what. After that, the
    input is opened again as often as it takes. SIGHUP reads the broadcast's file again, SIGTERM ends.
    """
    config = common.settings()

    async def work() -> None:
        await Service(broadcast, config, Notifier(os.environ), Clock(), once=once).run()

    asyncio.run(work())
    return 0
