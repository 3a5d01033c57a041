"""`runner-dashboard demo`."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from runner_dashboard import logs, server
from runner_dashboard.config import Config, ServerTable
from runner_dashboard.demo import fleet
from runner_dashboard.identity.secrets import Secret


def demo(
    *,
    nodes: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=10_000))] = 200,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=65535))] = 8080,
    keep: Path | None = None,
) -> int:
    """Serve a dashboard on loopback whose nodes are simulated, until Ctrl-C. No configuration is read.

    Their keys and signatures are real, and their reports come in by the way that every report takes; what these say is
    made up.

    Parameters
    ----------
    nodes: int
        How many.
    port: int
        Where it is served; 0 takes a free one.
    keep: Path
        Keep the data in this directory, which must be new or empty.
    """
    logs.configure(level="warning")
    with contextlib.ExitStack() as stack:
        directory = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="runner-dashboard-demo.")))
        config = Config(state_dir=str(directory.absolute()), server=ServerTable(port=port))
        listening = stack.enter_context(server.listen(config))
        services = stack.enter_context(server.opened(config))
        began = time.monotonic()
        taken = fleet.populate(services, nodes, services.now)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def ready(made: Secret | None) -> None:
            sys.stdout.write(
                f"{taken} signed reports of {nodes} simulated nodes were taken in {time.monotonic() - began:.1f} s.\n"
                f"{address}\n"
            )
            if made is not None:
                sys.stdout.write(f"Sign in with: {made.render()}\n")
            sys.stdout.flush()

        server.serve(services, listening, ready)
    return 0
