"""Which nodes of a fleet rebuild what: rendezvous hashing. Pure.

Every node ranks all members for each derivation and sees whether it is among the first. All nodes agree without
talking, and when a node comes or goes, only its own share moves.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True)
class Share:
    """What the node *node* takes on among *members*, where each derivation goes to *copies* of them."""

    node: str
    members: tuple[str, ...]
    copies: int

    def covers(self, derivation: str) -> bool:
        """Tell whether *derivation* is this node's to rebuild."""
        return self.node in assigned(derivation, self.members, self.copies)


def assigned(derivation: str, members: Iterable[str], copies: int) -> list[str]:
    """Return the *copies* members (all, where there are fewer) that rebuild *derivation*, the first in rank first."""
    return sorted(set(members), key=lambda member: (_rank(derivation, member), member))[:copies]


def _rank(derivation: str, member: str) -> bytes:
    # A member's name is of one line: the zero keeps both apart.
    return hashlib.sha256(f"{member}\0{derivation}".encode(errors="surrogateescape")).digest()
