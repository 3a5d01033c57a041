"""One round: hide the outputs under test, fetch what their builders need, build, look at what was made."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.store_db import StoreDatabase
from ec_verify.ghost import database
from ec_verify.location import base_name
from ec_verify.model import OutputEvidence
from ec_verify.rebuild.inputs import Inputs
from ec_verify.rebuild.references import Reach
from ec_verify.scan.path import PathTask
from ec_verify.scan.pool import look_at_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ec_closure.signing import Keyring
    from ec_closure.store_db import PathInfo
    from ec_verify.ghost.events import Activity
    from ec_verify.ghost.limits import Limits, Spent
    from ec_verify.ghost.nix import NixResult
    from ec_verify.ghost.session import Ghost
    from ec_verify.source.graph import Graph

# The C library's word for ENOSPC, in the language in which everything runs here.
_FULL = "No space left on device"


@dataclass(frozen=True)
class Expectation:
    """What a rebuild is compared with: SRI hashes by store path, *signed* by CI and *observed* on the disk."""

    signed: Mapping[str, str]
    observed: Mapping[str, str]
    keys: Keyring


@dataclass
class RoundOutcome:
    """What one round showed. *again* are derivations whose inputs differed or failed: they get another round.

    *stopped* says what was spent before all was built.
    """

    evidence: dict[str, OutputEvidence] = field(default_factory=dict)
    again: frozenset[str] = frozenset()
    stopped: Spent = ""
    builders: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    references: dict[str, tuple[str, ...]] = field(default_factory=dict)


def hidden(seed: Ghost, graph: Graph, tests: frozenset[str]) -> tuple[set[str], dict[str, str]]:
    """Return the paths that must go so that *tests* can be built, and the tests that cannot be, with the reason.

    The set is closed upward in the ghost's database. A derivation that names an output as a source
    would have to go with it, and then nothing could be built: such tests are left out.
    """
    refused: dict[str, str] = {}
    paths = database.referrers(seed.database, graph.outputs(tests))
    if any(path in graph.derivations for path in paths):
        for test in sorted(tests):
            above = database.referrers(seed.database, graph.outputs([test]))
            blocking = sorted(path for path in above if path in graph.derivations)
            if blocking:
                refused[test] = f"the derivation {blocking[0]} refers to its output as a source"
        paths = database.referrers(seed.database, graph.outputs(tests - refused.keys()))
    return paths | graph.outputs(tests - refused.keys()), refused


def run(
    ghost: Ghost,
    graph: Graph,
    tests: frozenset[str],
    hide: set[str],
    expect: Expectation,
    *,
    number: int,
    fetch: bool,
    progress: Callable[[str, bool], None] | None = None,
    limits: Callable[[], Limits | None] = lambda: None,
) -> RoundOutcome:
    """Build *tests* in *ghost*, where *hide* is hidden already, and return what came out within *limits*."""
    dropped: set[str] = set()
    if fetch:
        _fetch(ghost, graph, tests, hide, limits())
        # Something fetched may refer to an output under test; it must be built from the new one then.
        dropped = database.referrers(ghost.database, hide) - hide
    database.remove(ghost.database, hide | dropped)
    database.declare(ghost.database, graph.derivations)
    result = ghost.nix.nix_store(["--realise", "--keep-going", *sorted(tests)], progress=progress, limits=limits())
    outcome = _collect(ghost, graph, tests, expect, result, number)
    outcome.stopped = result.stopped or _filled(result.activity)
    outcome.strays = [] if outcome.stopped else _strays(ghost, graph, dropped)
    return outcome


def _fetch(ghost: Ghost, graph: Graph, tests: frozenset[str], hide: set[str], limits: Limits | None) -> None:
    """Substitute the inputs that neither are there nor will be built. The database is still complete."""
    rows = _rows(ghost)
    missing: set[str] = set()
    todo = list(tests)
    seen = set(tests)
    while todo:
        for path in graph.direct_inputs(todo.pop()):
            owner = graph.owners.get(path, ("", ""))[0]
            if path in hide:
                if owner and owner not in seen:
                    seen.add(owner)
                    todo.append(owner)
            elif path not in rows:
                missing.add(path)
    if missing:
        # What cannot be had is seen afterwards, where it is missed.
        ghost.nix.nix_store(["--realise", "--keep-going", *sorted(missing)], fetch=True, limits=limits)


def _collect(
    ghost: Ghost, graph: Graph, tests: frozenset[str], expect: Expectation, result: NixResult, number: int
) -> RoundOutcome:
    rows = _rows(ghost)
    ran = set(result.activity.builders)
    made = _hash_made(ghost, graph, rows, ran)
    inputs = Inputs(ghost, graph, rows, signed=expect.signed, observed=expect.observed, made=made, keys=expect.keys)
    references = {path: row.references for path, row in rows.items()}
    differing = {path for path, seen in made.items() if path in expect.signed and seen != expect.signed[path]}
    reach = Reach(references, differing)
    failed = {drv for drv in graph.derivations if drv in ran and not graph.outputs([drv]) <= made.keys()}
    outcome = RoundOutcome(builders=list(result.activity.builders), references=references)
    again = set()
    unavailable: set[str] = set()
    for drv in graph.in_order(tests | ran):
        tainted = reach.of(graph.direct_inputs(drv))
        blocked = any(needed in failed or needed in unavailable for needed in graph.derivations[drv].input_drvs)
        if drv not in ran and not graph.outputs([drv]) <= rows.keys():
            unavailable.add(drv)
        if drv in tests and (tainted or (blocked and drv not in ran)):
            again.add(drv)
        unsound = inputs.unsound(drv) if drv in ran else None
        for name, output in graph.derivations[drv].outputs.items():
            outcome.evidence[output.path] = OutputEvidence(
                path=output.path,
                derivation=drv,
                output=name,
                rebuilt=made.get(output.path),
                unsound=unsound,
                failure=None if output.path in made else _failure(drv, ran, result.activity, result),
                round=number,
            )
    outcome.again = frozenset(again)
    return outcome


def _rows(ghost: Ghost) -> dict[str, PathInfo]:
    with StoreDatabase.open(ghost.state, store_dir=ghost.location.store_dir) as found:
        return found.all_infos()


def _hash_made(ghost: Ghost, graph: Graph, rows: Mapping[str, PathInfo], ran: set[str]) -> dict[str, str]:
    """Hash every output that a builder was seen to make, from the upper layer: never a row's word."""
    tasks = [
        PathTask(
            path=path, physical=str(ghost.upper(path)), store_dir=ghost.location.store_dir, size=rows[path].nar_size
        )
        for path in sorted(graph.outputs(ran & graph.derivations.keys()))
        if path in rows and os.path.lexists(ghost.upper(path))
    ]
    return {path: seen.nar_hash for path, seen in look_at_all(tasks).items() if seen.nar_hash is not None}


def _failure(drv: str, ran: set[str], activity: Activity, result: NixResult) -> str:
    mentioned = next((text for text in activity.messages if drv in text), None)
    if drv in ran:
        tail = activity.last_lines(drv)
        # Nix 2.34 names no derivation when it says that time ran out.
        said = [text for text in activity.messages if drv in text or ".drv" not in text]
        what = "timed out" if any("timed out" in text for text in said) else "failed"
        return f"its builder {what}{': ' + tail if tail else ''}"
    return " ".join((mentioned or f"its builder was not run: {result.complaint()}").split())[:500]


def _filled(activity: Activity) -> Spent:
    """Tell whether something failed for lack of room: then that says nothing about what was to be built.

    Builders clean up after themselves, so that the room may be there again when somebody looks. A builder may say so
    without need: then nothing is concluded from its failure, and the level is not reached.
    """
    said = (*activity.messages, *(line for tail in activity.logs.values() for line in tail))
    return "full" if any(_FULL in text for text in said) else ""


def _strays(ghost: Ghost, graph: Graph, dropped: set[str]) -> list[str]:
    # A builder that failed may leave a part of its own output behind.
    known = {base_name(path) for path in _rows(ghost).keys() | graph.outputs(graph.derivations) | dropped}
    return sorted(
        entry.name
        for entry in ghost.upper_directory.iterdir()
        if entry.name not in known
        and entry.name != ".links"
        and not entry.is_char_device()
        and not entry.name.endswith((".lock", ".check"))
    )
