"""Which derivations are really built, whatever a cache or another store has. Pure.

A derivation that is built anew takes all along that depend on it: if one of those came from a cache, it would bring
what it refers to along, and nothing would be left to build.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_release.closure.graph import Graph


@dataclass(frozen=True)
class Division:
    """*built* are derivations; *inputs* are what they need and what may be had in any way: derivation, outputs."""

    built: frozenset[str]
    inputs: dict[str, tuple[str, ...]]

    def outputs(self, graph: Graph) -> dict[str, str]:
        """Return every output path that is built, with its derivation."""
        return {output.path: drv for drv in sorted(self.built) for output in graph.derivations[drv].outputs.values()}


def divide(graph: Graph, target: str, patterns: Sequence[str]) -> Division:
    """Divide the derivations that *target* needs: itself, what a pattern names, and what depends on that are built.

    Patterns are compared with names of derivations (``squashfs.img``); derivations whose bytes are fixed are no match.
    """
    users: dict[str, list[str]] = {}
    for drv, derivation in graph.derivations.items():
        for needed in derivation.input_drvs:
            users.setdefault(needed, []).append(drv)
    pending = [target] + [
        drv
        for drv, derivation in graph.derivations.items()
        if not derivation.is_fixed_output and any(fnmatchcase(_name(drv), pattern) for pattern in patterns)
    ]
    built: set[str] = set()
    while pending:
        drv = pending.pop()
        if drv not in built:
            built.add(drv)
            pending += users.get(drv, [])
    inputs: dict[str, set[str]] = {}
    for drv in built:
        for needed, outputs in graph.derivations[drv].input_drvs.items():
            if needed not in built:
                inputs.setdefault(needed, set()).update(outputs)
    return Division(frozenset(built), {drv: tuple(sorted(names)) for drv, names in sorted(inputs.items())})


def _name(drv: str) -> str:
    """Return what a derivation is called: `squashfs.img` of `/nix/store/…-squashfs.img.drv`."""
    return drv.rpartition("/")[2].partition("-")[2].removesuffix(".drv")
