"""All rounds of a rebuild.

The first round builds everything under test from sources. Whatever used an input that came out
differently is then built again from the *signed* input, in a ghost of its own, until no difference
is left unexplained: that tells what is unreproducible by itself from what merely inherits.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ec_closure.signing import Keyring
from ec_verify.ghost.session import Ghost
from ec_verify.model import OutputEvidence, Rebuild
from ec_verify.rebuild import round as rounds
from ec_verify.rebuild.budget import Budget
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
    seconds: int = 0,
    disk: int = 0,
    clock: Callable[[], float] = time.monotonic,
) -> Rebuild:
    """Rebuild what *plan* asks for, in ghosts that start from *seed* (which holds the derivations).

    *signed* and *observed* are SRI hashes by store path. Raises `GhostError` when no ghost can be
    made; a build that fails is evidence, not an error.

    With *seconds* (of *clock*) or *disk* (bytes of scratch), batches are tested in the plan's order until these are
    spent. What was built by then counts, and what was not is skipped with that reason; so is what still needs a round
    of its own. Without, all are one batch, and everything is tested, as far as scratch has room.
    """
    budget = Budget(seconds, disk, clock)
    expect = rounds.Expectation(signed, observed, Keyring.parse(list(settings.trusted_keys)))
    evidence: dict[str, OutputEvidence] = {}
    references: dict[str, tuple[str, ...]] = {}
    skipped = dict(plan.skipped)
    builders: list[str] = []
    strays: set[str] = set()
    waiting = list(plan.batches) if budget.bounded else []
    todo = waiting.pop(0) if waiting else plan.derivations
    number = 0
    late: set[str] = set()
    while todo or waiting:
        if not budget.allows_a_round():
            late |= todo.union(*waiting)
            break
        if not todo:
            todo = waiting.pop(0)
        number += 1
        hide, refused = rounds.hidden(seed, graph, todo)
        skipped |= refused
        tests = todo - refused.keys()
        if not tests:
            todo = frozenset()
            continue
        with Ghost(seed.location, programs, settings, scratch, seed=seed, hide=hide) as ghost:
            outcome = rounds.run(
                ghost,
                graph,
                tests,
                hide,
                expect,
                number=number,
                fetch=bool(settings.substituters),
                progress=progress,
                limits=partial(budget.limits, ghost),
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
        if outcome.stopped:
            late |= {drv for drv in tests if any(evidence[path].rebuilt is None for path in graph.outputs([drv]))}
            late |= outcome.again
            todo = frozenset()
            budget.spent = outcome.stopped
    # Half a rebuild is none: what still needed a round, or an output of which is missing, proves nothing yet.
    for path in graph.outputs(late):
        evidence.pop(path, None)
    skipped |= dict.fromkeys(late, budget.words)
    settled = any(seen.rebuilt is not None and seen.rebuilt == signed.get(path) for path, seen in evidence.items())
    stuck = budget.spent == "time" and not settled and not graph.outputs(late) <= plan.remembered.keys()
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
        remembered=plan.remembered if budget.bounded else {},
        elsewhere=plan.elsewhere,
        late=len(late),
        inputs=plan.inputs,
        spent=budget.words if late else "",
        needed=budget.needed() if stuck else 0,
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
