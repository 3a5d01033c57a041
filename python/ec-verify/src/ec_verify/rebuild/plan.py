"""Which derivations a level puts under test. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest
    from ec_closure.policy import Level
    from ec_verify.source.graph import Graph


@dataclass(frozen=True)
class Plan:
    """*derivations* go under test; *fixed* are outputs whose bytes the derivation itself declares.

    *skipped* says, by derivation, why one that the level asks for cannot be tested.
    """

    derivations: frozenset[str]
    fixed: frozenset[str] = frozenset()
    skipped: dict[str, str] = field(default_factory=dict)


def plan(graph: Graph, manifest: Manifest, level: Level) -> Plan:
    """Return what *level* (`rebuild` or `full`) asks for.

    `rebuild`: every derivation that owns a path which CI built itself. `full`: every derivation of
    the graph. Fixed-output derivations are never rebuilt: that would prove that a mirror still
    serves a file; their bytes are checked instead (pitfall P16).
    """
    if level == "full":
        wanted = set(graph.derivations)
    else:
        wanted = {
            graph.owners[record.path][0]
            for record in manifest.paths
            if record.origin == "built" and record.path in graph.owners
        }
    fixed: set[str] = set()
    skipped: dict[str, str] = {}
    for path in sorted(wanted):
        derivation = graph.derivations[path]
        if derivation.is_fixed_output:
            fixed |= graph.outputs([path])
        elif derivation.is_content_addressed or derivation.is_impure:
            skipped[path] = "its outputs have no name before they are built: there is nothing to compare with"
    under_test = frozenset(path for path in wanted - skipped.keys() if not graph.derivations[path].is_fixed_output)
    return Plan(under_test, frozenset(fixed), skipped)
