"""What lies in the store directory itself: every entry should have a row in the database."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ec_verify.scan.links import LINKS

if TYPE_CHECKING:
    import os
    from collections.abc import Collection
    from pathlib import Path

# Of Nix's own work under way (pitfall P45): locks, chroots, moved-away and half-made paths.
_IN_FLIGHT = re.compile(
    r"(\.tmp-|\.tmp-link-|tmp-|nix-)[0-9]+-[0-9]+|[0-9a-z]{32}-[0-9A-Za-z+._?=-]+\.(lock|chroot|check)|trash"
)
# What NixOS' netboot and ISO images keep beside the store paths of their squashfs: the rows that are loaded at boot.
_IMAGE_REGISTRATION = "nix-path-registration"
_EXECUTABLE = 0o7111


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the store directory that no row knows. *status* is `extra`, or `in flight` for work of Nix's own."""

    name: str
    status: Literal["extra", "in flight"]


def unknown_entries(store: Path, known: Collection[str]) -> list[Entry]:
    """Return the entries of the directory *store* that are not among the base names *known*, sorted.

    What vanishes meanwhile was Nix's own and is passed over. Raises OSError when the directory cannot be listed.
    """
    found = []
    for name in sorted(entry.name for entry in store.iterdir()):
        if name in known:
            continue
        try:
            status = (store / name).lstat()
        except FileNotFoundError:
            continue
        if name == LINKS and stat.S_ISDIR(status.st_mode):
            continue
        if name == _IMAGE_REGISTRATION and stat.S_ISREG(status.st_mode) and not status.st_mode & _EXECUTABLE:
            continue
        found.append(Entry(name, "in flight" if _is_litter(name, status) else "extra"))
    return found


def _is_litter(name: str, status: os.stat_result) -> bool:
    if not _IN_FLIGHT.fullmatch(name):
        return False
    if name.endswith(".lock"):
        # A lock is an empty file; anything else only calls itself so.
        return stat.S_ISREG(status.st_mode) and status.st_size == 0
    return name.endswith(".check") or name.startswith(".tmp-link-") or stat.S_ISDIR(status.st_mode)
