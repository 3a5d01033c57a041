"""What is said of a node's data, in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ec_closure.node_config import NodeApplied

_FROM = {
    "credential": "from the systemd credential",
    "url": "from the address of ec.node",
    "partition": "from the partition EC-NODE",
    "file": "from /var/lib/every-channel",
}


def summary(told: NodeApplied) -> str:
    """Return where the data came from and what they are."""
    if told.source == "none":
        return "no node.toml anywhere; this node runs with defaults"
    return f"node.toml {_FROM[told.source]}: {contents(told)}"


def contents(told: NodeApplied) -> str:
    """Return what the data are, without where they came from."""
    return ", ".join(
        (
            f"name {told.name}" if told.name else "no name",
            _count(len(told.ssh_keys), "SSH key"),
            f"dashboard {told.dashboard}" if told.dashboard else "no dashboard",
            _count(len(told.broadcasts), "broadcast"),
        )
    )


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
