"""`ec-provision apply`: find node.toml and apply it."""

from __future__ import annotations

import grp
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ec_closure import node_config
from ec_closure.errors import UsageError
from ec_closure.node_config import MAX_BYTES
from ec_provision import logs, sources
from ec_provision.apply import HostName
from ec_provision.apply import apply as carry_out
from ec_provision.command_line import Address
from ec_provision.commands.words import summary
from ec_provision.errors import ApplyError
from ec_provision.sources import Places

DEADLINE = 90.0
_MAX_DEADLINE = 3600.0


def apply(
    *,
    root: Annotated[Path, Parameter(help="Look and write below this directory, and leave the host name alone.")] = Path(
        "/"
    ),
    group: Annotated[str | None, Parameter(help="The group that may read descriptions of broadcasts.")] = None,
    deadline: Annotated[float, Parameter(help="Seconds to wait for the address of ec.node.")] = DEADLINE,
    json: Annotated[bool, Parameter(help="Print node.json.", negative=())] = False,
) -> int:
    """Find node.toml and apply it: the host name, and files below /run/every-channel. Run it as root.

    With bad data (exit 2) or an address that cannot be reached (exit 3) nothing is changed. The same data again change
    nothing either. Without any node.toml the node runs with defaults, and that is written down.
    """
    logs.configure()
    if not 0 < deadline <= _MAX_DEADLINE:
        raise UsageError(f"--deadline {deadline:g} is not between 0 and {_MAX_DEADLINE:g} seconds")
    gid = _group(group)

    def fetch(address: Address) -> bytes:
        from ec_provision.fetch import fetch

        return fetch(address, limit=MAX_BYTES, deadline=deadline)

    found = sources.find(Places.of_environment(root), fetch)
    running = root.resolve() == Path("/")
    told, changed = carry_out(found, root=root, group=gid, host_name=HostName() if running else None)
    if json:
        sys.stdout.write(node_config.encode_applied(told).decode())
    else:
        sys.stdout.write(f"{'applied' if changed else 'unchanged'}: {summary(told)}\n")
    return 0


def _group(name: str | None) -> int | None:
    if name is None:
        return None
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise ApplyError(f"there is no group {name!r}", place="--group", hint="make the group first") from error
