"""All rounds of a rebuild.

The first round builds everything under test from sources. Whatever used an input that came out
differently is then built again from the *signed* input, in a ghost of its own, until no difference
is left unexplained: that tells what is unreproducible by itself from what merely inherits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ec_closure.signing import Keyring
from ec_verify.ghost.session import Ghost
from ec_verify.model import OutputEvidence, Rebuild
from ec_verify.rebuild import round as rounds
from ec_verify.rebuild.references import Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ec_verify.ghost.nix import NixPrograms, NixSettings
    from ec_verify.ghost.scratch import ScratchPlan
    from ec_verify.rebuild.plan import Plan
    from ec_verify.source.graph import Graph


def rebuild(
    seed: Ghost,
    graph: Graph,
    plan: Plan,
    *,
    signed: Mapping[str, str],
    observed: Mapping[str, str],
    programs: NixPrograms,
    settings: NixSettings,
    scratch: ScratchPlan,
    progress: Callable[[str, bool], None] | None = None,
) -> Rebuild:
    """Rebuild what *plan* asks for, in ghosts that start from *seed* (which holds the derivations).

    *signed* and *observed* are SRI hashes by store path. Raises `GhostError` when no ghost can be
    made; a build that fails is evidence, not an error.
    """
    expect = rounds.Expectation(signed, observed, Keyring.parse(list(settings.trusted_keys)))
    evidence: dict[str, OutputEvidence] = {}
    references: dict[str, tuple[str, ...]] = {}
    skipped = dict(plan.skipped)
    builders: list[str] = []
    strays: set[str] = set()
    todo = plan.derivations
    number = 0
    while todo:
        number += 1
        hide, refused = rounds.hidden(seed, graph, todo)
        skipped |= refused
        tests = todo - refused.keys()
        if not tests:
            break
        with Ghost(seed.location, programs, settings, scratch, seed=seed, hide=hide) as ghost:
            outcome = rounds.run(
                ghost, graph, tests, hide, expect, number=number, fetch=bool(settings.substituters), progress=progress
            )
        # What an earlier round proved from good inputs stands. What was built only because it refers to an output under
        # test proves nothing: nobody asked, and no later round tells whether it differs by itself.
        wanted = graph.outputs(tests)
        evidence |= {path: seen for path, seen in outcome.evidence.items() if path in wanted}
        references |= outcome.references
        builders += outcome.builders
        strays |= set(outcome.strays)
        # Every round settles at least the first derivation in order, so this ends.
        todo = outcome.again if outcome.again < tests else frozenset()
    tested = graph.outputs(plan.derivations)
    return Rebuild(
        outputs=attribute(evidence, graph, references, signed),
        fixed=plan.fixed,
        asked=len(plan.derivations) + len(plan.skipped),
        build_only=len(tested - signed.keys()),
        builders=len(builders),
        rounds=number,
        skipped={path: reason for drv, reason in skipped.items() for path in graph.outputs([drv])},
        strays=tuple(sorted(strays)),
    )


def attribute(
    evidence: Mapping[str, OutputEvidence],
    graph: Graph,
    references: Mapping[str, tuple[str, ...]],
    signed: Mapping[str, str],
) -> dict[str, OutputEvidence]:
    """Name, for every output, the inputs that do not reproduce. Pure.

    It depends on what differs and who uses it, not on what happened to be tested together: that is
    why a subset of tests gives the verdicts that one at a time gives.
    """
    differing = {path for path, seen in evidence.items() if path in signed and seen.rebuilt not in (None, signed[path])}
    reach = Reach(references, differing)
    return {
        path: replace(seen, tainted_by=tuple(sorted(reach.of(graph.direct_inputs(seen.derivation)) - {path})))
        for path, seen in evidence.items()
    }
