"""What is wrong in the store directory beside the store paths: counted by kind, the first of each is named."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from ec_verify.scan.metadata import AnomalyKind

OddityKind: TypeAlias = "AnomalyKind | Literal['stranger', 'content']"
"""As of an anomaly of a path; a `stranger` is something that Nix does not put there at all, `content` are other bytes
than a name promises."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """*count* things of one kind. *name* is the first one's place below the store directory, empty for itself."""

    kind: OddityKind
    name: str
    detail: str
    count: int = 1


class Tally:
    """Collects oddities: a million of one kind are one finding with a number."""

    def __init__(self) -> None:
        self._found: dict[OddityKind, Oddity] = {}

    def add(self, kind: OddityKind, name: str, detail: str) -> None:
        """Count one."""
        first = self._found.get(kind)
        self._found[kind] = Oddity(kind, name, detail) if first is None else replace(first, count=first.count + 1)

    def oddities(self) -> list[Oddity]:
        """Return one for each kind, sorted."""
        return [self._found[kind] for kind in sorted(self._found)]
