"""`ec-provision show`: what was applied on this boot."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ec_closure import node_config
from ec_closure.node_config import MAX_BYTES
from ec_provision import below
from ec_provision.commands.words import summary
from ec_provision.errors import UnreadableError
from ec_provision.state import APPLIED, DIRECTORY


def show(
    *,
    root: Annotated[Path, Parameter(help="Look below this directory.")] = Path("/"),
    json: Annotated[bool, Parameter(help="Print node.json.", negative=())] = False,
) -> int:
    """Print what was applied on this boot, and from where. It tells no secrets, and anybody may ask.

    Exits with 3 when nothing was applied yet: `systemctl status ec-provision` says why.
    """
    path = f"{DIRECTORY}/{APPLIED}"
    read = below.read(root, path, limit=MAX_BYTES)
    if read is None:
        raise UnreadableError(
            "nothing was applied on this boot", place=str(root / path), hint="`systemctl status ec-provision` says why"
        )
    told = node_config.decode_applied(read[0], what=str(root / path))
    if json:
        sys.stdout.write(node_config.encode_applied(told).decode())
        return 0
    sys.stdout.write(f"{summary(told)}\n")
    sys.stdout.writelines(f"  may log in: {one}\n" for one in told.ssh_keys)
    sys.stdout.writelines(f"  broadcast: {one}\n" for one in told.broadcasts)
    sys.stdout.writelines(f"  another node.toml was passed over: {one}\n" for one in told.ignored)
    if told.digest:
        sys.stdout.write(f"  sha256: {told.digest}\n")
    return 0
