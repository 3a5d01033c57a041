"""What is written for a node's data: which files, for whom. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure import broadcast

if TYPE_CHECKING:
    from ec_closure.node_config import NodeConfig

TOKEN = "dashboard.token"  # noqa: S105 - the name of a file
DIRECTORIES = ("ssh", "broadcasts")
NAMES = (*DIRECTORIES, TOKEN)
"""What others find under /run/every-channel, beside node.json."""


@dataclass(frozen=True)
class File:
    """One file: its bytes, its mode, and its group, None for that of who writes it."""

    data: bytes
    mode: int
    group: int | None = None

    def __repr__(self) -> str:
        """Return what may stand in a log: some of these are secrets."""
        return f"File({len(self.data)} bytes, mode={self.mode:04o}, group={self.group})"


def tree_of(config: NodeConfig | None, *, group: int | None = None) -> dict[str, File]:
    """Return the files by their paths, in directories that anybody may list.

    Descriptions of broadcasts are for *group*: they may hold keys of services elsewhere. The token is for root alone.
    """
    keys = "".join(f"{key.render()}\n" for key in config.parsed_keys()) if config else ""
    found = {"ssh/root": File(keys.encode(), 0o644)}
    if config is None:
        return found
    if config.dashboard is not None and config.dashboard.token is not None:
        found[TOKEN] = File(f"{config.dashboard.token}\n".encode(), 0o600)
    for one in config.broadcast:
        found[f"broadcasts/{one.name}.toml"] = File(broadcast.encode(one), 0o640, group)
    return found
