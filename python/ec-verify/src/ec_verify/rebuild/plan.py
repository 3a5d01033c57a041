"""Which derivations a level puts under test, and in which order. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ec_closure.manifest import Manifest
    from ec_closure.policy import Level
    from ec_verify.memory.contents import Built
    from ec_verify.rebuild.fleet import Share
    from ec_verify.source.graph import Graph


_PARTS = 4


@dataclass(frozen=True)
class Plan:
    """*derivations* go under test; *fixed* are outputs whose bytes the derivation itself declares.

    *skipped* says, by derivation, why one that the level asks for cannot be tested. *batches* are the derivations in
    the order in which they are tested; one batch of all where no order is given. *remembered* has, by output path, when
    an earlier run rebuilt it; *elsewhere* are outputs that other nodes of the fleet rebuild; *inputs* is, by
    derivation, the digest of what its build uses.
    """

    derivations: frozenset[str]
    fixed: frozenset[str] = frozenset()
    skipped: dict[str, str] = field(default_factory=dict)
    batches: tuple[frozenset[str], ...] = ()
    remembered: dict[str, int] = field(default_factory=dict)
    elsewhere: frozenset[str] = frozenset()
    inputs: dict[str, bytes] = field(default_factory=dict)


def plan(
    graph: Graph, manifest: Manifest, level: Level, *, builds: Iterable[Built] = (), share: Share | None = None
) -> Plan:
    """Return what *level* (`rebuild` or `full`) asks for.

    `rebuild`: every derivation that owns a path which CI built itself. `full`: every derivation of
    the graph. Fixed-output derivations are never rebuilt: that would prove that a mirror still
    serves a file; their bytes are checked instead (pitfall P16).

    *builds* are earlier rebuilds that count. What none of them covers comes first, in a batch of its own, then what was
    rebuilt longest ago. Of a fleet's *share*, only this node's derivations are tested. Derivations are chosen, never
    single outputs; a round then hides all that refers to them, so that any choice is closed upward (design §6).
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
    elsewhere: set[str] = set()
    for path in sorted(wanted):
        derivation = graph.derivations[path]
        if derivation.is_fixed_output:
            fixed |= graph.outputs([path])
        elif derivation.is_content_addressed or derivation.is_impure:
            skipped[path] = "its outputs are named by content; comparing those is not supported yet"
        elif share is not None and not share.covers(path):
            skipped[path] = "assigned to other nodes of the fleet"
            elsewhere |= graph.outputs([path])
    under_test = frozenset(path for path in wanted - skipped.keys() if not graph.derivations[path].is_fixed_output)
    signed = {record.path: record.nar_hash for record in manifest.paths}
    inputs = digests(graph, signed)
    known = {one.path: one for one in builds}
    ages = {drv: age for drv in under_test if (age := _rebuilt_at(graph, drv, known, signed, inputs)) is not None}
    return Plan(
        under_test,
        frozenset(fixed),
        skipped,
        _batches(under_test, ages),
        {path: age for drv, age in ages.items() for path in graph.outputs([drv])},
        frozenset(elsewhere),
        inputs,
    )


def digests(graph: Graph, signed: Mapping[str, str]) -> dict[str, bytes]:
    """Return, for each derivation, the digest of itself and of what CI signed of everything that its build uses.

    A derivation's name covers how it is built, but not which bytes its inputs have: those that CI signed may differ
    between releases where a build does not reproduce.
    """
    found: dict[str, bytes] = {}
    for drv in graph.in_order(graph.derivations):
        digest = hashlib.sha256(drv.encode())
        for path in sorted(graph.direct_inputs(drv)):
            owner = graph.owners.get(path, ("", ""))[0]
            digest.update(f"\0{path}\0{signed.get(path, '')}\0".encode())
            digest.update(found.get(owner, b""))
        found[drv] = digest.digest()
    return found


def _rebuilt_at(
    graph: Graph, drv: str, known: Mapping[str, Built], signed: Mapping[str, str], inputs: Mapping[str, bytes]
) -> int | None:
    """Return when all outputs of *drv* were rebuilt in the way in which they would be rebuilt now."""
    found = [known.get(path) for path in graph.outputs([drv])]
    times = [
        one.built_at
        for one in found
        if one is not None
        and one.derivation == drv
        and one.inputs == inputs[drv]
        and signed.get(one.path, one.nar_hash) == one.nar_hash
    ]
    return min(times) if times and len(times) == len(found) else None


def _batches(under_test: frozenset[str], ages: Mapping[str, int]) -> tuple[frozenset[str], ...]:
    fresh = under_test - ages.keys()
    # A few ghosts at most, for each takes a second or so: what is not done in one is asked for in the next run.
    old = sorted(ages, key=lambda drv: (ages[drv], drv))
    size = -(-len(old) // _PARTS)
    parts = [frozenset(old[start : start + size]) for start in range(0, len(old), size or 1)]
    return tuple(batch for batch in (fresh, *parts) if batch)
