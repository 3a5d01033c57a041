"""Apply a node's data: files below /run/every-channel and the kernel's host name, all of it or nothing.

1. Find node.toml (`ec_provision.sources`) and decode it: what is bad changes nothing.
2. Compare: what is there already is left alone.
3. Set the host name, then replace the files. When either fails, both are as they were.
"""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from ec_closure import node_config
from ec_closure.errors import BadInputError
from ec_provision import lines, state
from ec_provision.errors import ApplyError
from ec_provision.tree import File, tree_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ec_closure.node_config import NodeApplied, NodeConfig
    from ec_provision.sources import Found
    from ec_provision.state import State

log = structlog.get_logger()


@dataclass(frozen=True)
class HostName:
    """The kernel's host name, as two functions."""

    get: Callable[[], str] = socket.gethostname
    set: Callable[[str], None] = socket.sethostname


def decode(found: Found | None) -> NodeConfig | None:
    """Decode what was found. Raises `BadInputError` with its place, and the line where that is clear."""
    if found is None:
        return None
    try:
        config = node_config.decode(found.data, what=found.place)
    except BadInputError as error:
        raise lines.located(error, found.data, found.place) from None
    if found.exposed and config.dashboard is not None and config.dashboard.token is not None:
        log.warning("others than root can read the token", file=found.place, hint="chmod 600, and a new token")
    return config


def apply(
    found: Found | None, *, root: Path, group: int | None = None, host_name: HostName | None = None
) -> tuple[NodeApplied, bool]:
    """Apply what was found and return what is told of it, and whether anything was changed.

    *group* owns the descriptions of broadcasts; *host_name* is None for what is no running machine. Raises
    `BadInputError` before anything is changed, and `ApplyError` after everything is as it was.
    """
    config = decode(found)
    told = node_config.applied(
        config,
        source=found.source if found else "none",
        digest=found.digest if found else None,
        ignored=found.ignored if found else (),
    )
    tree, applied = tree_of(config, group=group), File(node_config.encode_applied(told), 0o644)
    try:
        with state.held(root) as place, ExitStack() as undo:
            changed = _rename(told.name, host_name, undo)
            if not place.holds(tree, applied):
                place.replace(tree, applied)
                changed = True
            undo.pop_all()
            _sweep(place)
    except OSError as error:
        raise ApplyError(
            f"cannot be written: {error.strerror}",
            place=str(root / state.DIRECTORY),
            hint="nothing was changed; ec-provision needs root, and /run",
        ) from error
    return told, changed


def _rename(name: str | None, host_name: HostName | None, undo: ExitStack) -> bool:
    """Set the host name, if *name* is one and differs. Raises `ApplyError`."""
    if name is None or host_name is None or (before := host_name.get()) == name:
        return False
    try:
        host_name.set(name)
    except OSError as error:
        raise ApplyError(f"the host name cannot be set: {error.strerror}", hint="ec-provision needs root") from error
    undo.callback(host_name.set, before)
    return True


def _sweep(place: State) -> None:
    """Remove what was replaced. By now the new data are in place, so that a failure is worth a warning."""
    try:
        place.sweep()
    except OSError as error:
        log.warning("what was replaced cannot be removed", reason=error.strerror, file=str(error.filename))
