"""One run: steps 0 to 6 of design §5, in order. The numbers in the comments are those of the design."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from ec_closure.errors import EcError
from ec_closure.policy import LEVELS
from ec_closure.signing import Keyring
from ec_verify import observation as observations
from ec_verify import trust as trusts
from ec_verify import watch
from ec_verify.errors import CanaryError
from ec_verify.ghost import cgroup
from ec_verify.ghost.cgroup import Group
from ec_verify.ghost.gc_guard import temporary_roots
from ec_verify.ghost.nix import NixPrograms
from ec_verify.ghost.scratch import plan as plan_scratch
from ec_verify.ghost.session import Ghost
from ec_verify.ghost.vouched import vouched
from ec_verify.judge import Case, judge
from ec_verify.model import Evaluation, Problem, Rebuild, Recall, Standing
from ec_verify.observe import host as hosts
from ec_verify.observe import running
from ec_verify.rebuild.plan import plan
from ec_verify.rebuild.run import rebuild
from ec_verify.scan.shared import altered_links
from ec_verify.selftest import self_test
from ec_verify.source.evaluate import evaluate, limits_of

if TYPE_CHECKING:
    from datetime import datetime

    from ec_closure.policy import Level
    from ec_closure.store_db import PathInfo
    from ec_verify.config import Settings
    from ec_verify.ghost.nix import NixSettings
    from ec_verify.judge import Judgement
    from ec_verify.memory.keeper import Keeper
    from ec_verify.model import Observation, TrustOutcome
    from ec_verify.progress import Progress
    from ec_verify.trust import ManifestFile

log = structlog.get_logger()


@dataclass(frozen=True)
class Request:
    """What is asked of one run. *time* is the reference time; *offline* uses the last verified metadata.

    *references* searches the bytes for references, also where the configuration does not ask for it.
    With *read_all* every byte is read, whatever is remembered; a search for references does so, too. A level that
    rebuilds reads all of them, too: what is called rebuilt was read in the same run, which is the least of its cost.
    *standing* is what was found out about the node before.
    """

    level: Level
    time: datetime
    offline: bool = False
    manifest: ManifestFile | None = None
    references: bool = False
    read_all: bool = True
    standing: Standing = field(default_factory=Standing)


@dataclass(frozen=True)
class Outcome:
    """The case and the judgement on it, with the version of Nix that worked for it."""

    case: Case
    judgement: Judgement
    nix_version: str | None


def run(settings: Settings, request: Request, progress: Progress, memory: Keeper | None = None) -> Outcome:
    """Carry out one run. Raises `EcError` when there is nothing to judge: no store, no usable configuration.

    *memory* is what earlier runs saw; to remember what this one saw is the caller's.
    """
    location, rules = settings.config.location, settings.policy.metadata
    # 0. Self-test
    failure = self_test()
    # 1. Trust. What runs must be known first, since the manifest is that of the running system.
    with progress.stage("trust: metadata and manifest"):
        seen = running.observe(location, settings.config.system)
        trust = trusts.establish(
            settings.config,
            seen.current,
            seen.systems,
            time=request.time,
            offline=request.offline,
            given=request.manifest,
        )
    manifests = tuple(one for one in (trust.manifest, *trust.others) if one is not None)
    examined = sorted({record.path for one in manifests for record in one.paths})
    with temporary_roots(location, examined) as unrooted:
        if unrooted is not None:
            log.info("paths are not protected from garbage collection", reason=unrooted)
        before = watch.snapshot(location, examined)
        # 2. Observe, 3. Bytes
        searched = request.references or settings.config.store.references
        with progress.stage("bytes: hashing the store", unit="bytes") as stage:
            observed = observations.observe(
                location,
                seen,
                manifests,
                rules=rules,
                total=stage.total,
                advance=stage.advance,
                references=searched,
                memory=memory,
                read_all=request.read_all or searched or request.level in ("rebuild", "full"),
            )
        observed = replace(observed, shared=altered_links(location, manifests, observed.paths))
        with progress.stage("observe: the machine around the store"):
            observed = replace(observed, host=hosts.observe(settings.config.places, seen))
        # 4. Source, 5. Rebuild
        evaluation, rebuilt, version = _source_and_rebuild(settings, request, trust, observed, progress, memory)
        moved = watch.moved(location, manifests, before, observed, rules)
    if moved:
        problem = Problem(
            "EV505", f"{len(moved)} examined paths changed during the run, the first {moved[0]}", moved[0]
        )
        observed = replace(
            observed,
            problems=(*observed.problems, problem),
            partial=(*observed.partial, "the store changed"),
        )
    # 6. Judge
    case = Case(
        level=request.level,
        policy=settings.policy,
        time=int(request.time.timestamp()),
        store_dir=location.store_dir,
        trust=trust,
        observation=observed,
        evaluation=evaluation,
        rebuild=rebuilt,
        self_test=failure,
        store_layers=settings.config.store.layers,
        recall=memory.account(observed.paths) if memory is not None else Recall(),
        standing=request.standing,
    )
    return Outcome(case, judge(case), version)


def _source_and_rebuild(
    settings: Settings,
    request: Request,
    trust: TrustOutcome,
    observed: Observation,
    progress: Progress,
    memory: Keeper | None,
) -> tuple[Evaluation | None, Rebuild | None, str | None]:
    if LEVELS.index(request.level) < LEVELS.index("source"):
        return None, None, None
    config = settings.config
    attr = config.source.attr or (trust.manifest.system.attr if trust.manifest else "")
    evaluation: Evaluation | None = None
    version = None
    try:
        programs = NixPrograms.find(config.nix.program)
        version = programs.version
        nix = config.nix_settings(settings.policy)
        scratch = plan_scratch(config.rebuild.scratch, config.state)
        manifests = [one for one in (trust.manifest, *trust.others) if one is not None]
        rows = vouched(
            observed.rows, observed.paths, manifests, Keyring.parse(nix.trusted_keys), config.location.store_dir
        )
        budget = config.budget
        with ExitStack() as stack:
            group = stack.enter_context(Group(cgroup.usable(), budget.cpu_weight, budget.memory_bytes))
            nix = replace(nix, group=group)
            ghost = stack.enter_context(Ghost(config.location, programs, nix, scratch, rows=rows))
            with progress.stage("source: evaluating the embedded flake"):
                evaluation, graph = evaluate(
                    ghost,
                    config.source.flake,
                    attr,
                    trust.manifest,
                    limits_of(config.source.timeout, config.source.memory),
                )
                notes = (group.said,) if group.said else ()
                evaluation = replace(evaluation, notes=(*_origin(programs, nix, rows), *notes))
            if graph is None or trust.manifest is None or request.level == "source":
                return evaluation, None, version
            builds = memory.builds if memory is not None else ()
            wanted = plan(graph, trust.manifest, request.level, builds=builds, share=config.share)
            with progress.stage("rebuild: running builders in the ghost") as stage:
                stage.total(len(wanted.derivations))

                def builder(derivation: str, started: bool) -> None:  # noqa: FBT001 - the events' signature
                    if started:
                        stage.note(derivation[len(config.location.store_dir) + 34 : -4])
                    else:
                        stage.advance()

                rebuilt = rebuild(
                    ghost,
                    graph,
                    wanted,
                    signed={record.path: record.nar_hash for record in trust.manifest.paths},
                    observed={
                        path: seen.nar_hash for path, seen in observed.paths.items() if seen.nar_hash is not None
                    },
                    programs=programs,
                    settings=nix,
                    scratch=scratch,
                    progress=builder,
                    seconds=budget.time,
                    disk=budget.disk_bytes,
                )
            return evaluation, rebuilt, version
    except CanaryError as error:
        problem = Problem("EV506", str(error), error.place)
    except (EcError, OSError) as error:
        # What the bytes showed stands, whatever happens here.
        hint = error.hint if isinstance(error, EcError) else None
        log.warning("no ghost store", reason=str(error), hint=hint)
        problem = Problem("EV405", f"{error} ({hint})" if hint else str(error))
    return _interrupted(evaluation, problem, attr, version)


def _origin(programs: NixPrograms, settings: NixSettings, rows: list[PathInfo]) -> tuple[str, ...]:
    """Say which programs that work here are none of those that were just verified."""
    # The right side of `/bin/sh=/nix/store/…` is what builders are given; without one, it is the path itself.
    tools = [programs.nix, *(entry.rpartition("=")[2] for entry in settings.sandbox_paths)]
    verified = {row.path for row in rows}
    strange = [tool for tool in tools if verified.isdisjoint(map(str, _with_parents(Path(tool).resolve())))]
    return tuple(f"{tool} evaluates or builds, and is no part of what was verified" for tool in strange)


def _with_parents(path: Path) -> tuple[Path, ...]:
    return (path, *path.parents)


def _interrupted(
    evaluation: Evaluation | None, problem: Problem, attr: str, version: str | None
) -> tuple[Evaluation, Rebuild | None, str | None]:
    if evaluation is None:
        return Evaluation(flake=None, attr=attr, problems=(problem,)), None, version
    unavailable = Rebuild(unavailable=problem.message, problems=(replace(problem, code=_rebuild_code(problem)),))
    return evaluation, unavailable, version


def _rebuild_code(problem: Problem) -> str:
    return problem.code if problem.code == "EV506" else "EV502"
