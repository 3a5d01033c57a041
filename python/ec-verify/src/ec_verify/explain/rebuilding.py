"""Building one path again, in a ghost store, to compare what comes out with what lies on the disk."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from ec_closure.errors import LocalError
from ec_closure.nar.dump import dump
from ec_closure.signing import Keyring
from ec_verify import observation as observations
from ec_verify.ghost import cgroup
from ec_verify.ghost.cgroup import Group
from ec_verify.ghost.gc_guard import temporary_roots
from ec_verify.ghost.nix import NixPrograms
from ec_verify.ghost.scratch import plan as plan_scratch
from ec_verify.ghost.session import Ghost
from ec_verify.ghost.vouched import vouched
from ec_verify.rebuild import round as rounds
from ec_verify.source.evaluate import evaluate, limits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.manifest import Manifest
    from ec_verify.config import Settings
    from ec_verify.model import Evaluation, TrustOutcome
    from ec_verify.observe.running import Running
    from ec_verify.progress import Progress
    from ec_verify.source.graph import Graph

_MOST = 4 << 30


class RebuildError(LocalError):
    """The path could not be built again here."""

    code = "verify.explain-rebuild"


@contextmanager
def rebuilt(
    settings: Settings, trust: TrustOutcome, seen: Running, path: str, progress: Progress
) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the SRI hash and the NAR of *path* as its builder makes it now, from inputs as CI signed them.

    All of the store is hashed first: only what somebody vouches for may have a say in a build. Raises `RebuildError`
    when the source does not evaluate, nothing makes the path, or its builder fails, and what the ghost raises.
    """
    config, location, manifest = settings.config, settings.config.location, trust.manifest
    if manifest is None or path not in manifest.index():
        raise RebuildError("is not in the manifest of the running system", place=path)
    programs = NixPrograms.find(config.nix.program)
    nix = config.nix_settings(settings.policy)
    scratch = plan_scratch(config.rebuild.scratch, config.state)
    manifests = (manifest, *trust.others)
    with temporary_roots(location, [record.path for record in manifest.paths]):
        with progress.stage("bytes: hashing the store", unit="bytes") as stage:
            observed = observations.observe(
                location, seen, manifests, rules=settings.policy.metadata, total=stage.total, advance=stage.advance
            )
        keys = Keyring.parse(nix.trusted_keys)
        rows = vouched(observed.rows, observed.paths, manifests, keys, location.store_dir)
        with (
            Group(cgroup.usable(), config.budget.cpu_weight, config.budget.memory_bytes) as group,
            Ghost(location, programs, replace(nix, group=group), scratch, rows=rows) as seed,
        ):
            with progress.stage("source: evaluating the embedded flake"):
                limits = limits_of(config.source.timeout, config.source.memory)
                attr = config.source.attr or manifest.system.attr
                evaluation, found = evaluate(seed, config.source.flake, attr, manifest, limits)
            graph = _usable(evaluation, found, path)
            tests = frozenset({graph.owners[path][0]})
            hide, refused = rounds.hidden(seed, graph, tests)
            if refused:
                raise RebuildError(next(iter(refused.values())), place=path)
            with (
                progress.stage("rebuild: running one builder in the ghost"),
                Ghost(location, programs, replace(nix, group=group), scratch, seed=seed, hide=hide) as ghost,
            ):
                expect = rounds.Expectation(
                    _signed(manifest),
                    {one: look.nar_hash for one, look in observed.paths.items() if look.nar_hash is not None},
                    keys,
                )
                outcome = rounds.run(ghost, graph, tests, hide, expect, number=1, fetch=bool(nix.substituters))
                evidence = outcome.evidence.get(path)
                if evidence is None or evidence.rebuilt is None:
                    failure = evidence.failure if evidence is not None else None
                    raise RebuildError(failure or "its builder made nothing", place=path)
                with tempfile.TemporaryFile() as file:
                    dump(ghost.upper(path), file.write, limit=_MOST)
                    file.seek(0)
                    yield evidence.rebuilt, file


def _usable(evaluation: Evaluation, graph: Graph | None, path: str) -> Graph:
    if graph is None:
        problem = evaluation.problems[0].message if evaluation.problems else "it does not evaluate"
        raise RebuildError(f"the source cannot be evaluated: {problem}", place=path)
    if path not in graph.owners:
        raise RebuildError("no derivation of the source makes it", place=path)
    derivation = graph.derivations[graph.owners[path][0]]
    if derivation.is_fixed_output or derivation.is_content_addressed or derivation.is_impure:
        raise RebuildError("its derivation is not one that is rebuilt: its bytes or its name are fixed", place=path)
    return graph


def _signed(manifest: Manifest) -> dict[str, str]:
    return {record.path: record.nar_hash for record in manifest.paths}
