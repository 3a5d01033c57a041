"""The verdict. No clock, disk or network in here."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from ec_closure.report import MAX_LISTED, Observed, Overall
from ec_verify.judge.case import Case, Judgement
from ec_verify.judge.causes import causes, group, ordered
from ec_verify.judge.coverage import coverage, level_reached
from ec_verify.judge.host import judge_host
from ec_verify.judge.paths import judge_paths
from ec_verify.judge.promises import judge_promises
from ec_verify.judge.reading import reading
from ec_verify.judge.steps import judge_rebuild, judge_running, judge_source, judge_trust
from ec_verify.judge.store import judge_store

if TYPE_CHECKING:
    from ec_closure.report import Finding


def judge(case: Case) -> Judgement:
    """Judge one run.

    `failed`: a finding weighs `fail`, manifest or not. `undecided`: no trusted manifest, the asked
    level was not reached, or the verifier did not pass its own test. `passed`: neither.
    """
    paths = judge_paths(case)
    trust, freshness = judge_trust(case)
    store, unlisted, extra = judge_store(case, paths)
    findings = [
        *trust,
        *store,
        *judge_running(case),
        *judge_host(case),
        *judge_source(case),
        *judge_rebuild(case, paths),
    ]
    findings += judge_promises(case, paths, findings)
    findings += case.raise_problems(case.recall.problems)
    findings += case.raise_problems(case.standing.problems)
    if case.self_test is not None:
        findings.append(case.finding("EV901", case.self_test))
    groups = group(case, findings)
    reached = level_reached(case, paths)
    return Judgement(
        verdict=_overall(case, findings, reached is not None and reached == case.level),
        level_reached=reached,
        paths=paths,
        causes=causes(case, paths, groups),
        findings=ordered(groups),
        coverage=coverage(case, paths),
        freshness=freshness,
        reading=reading(case, paths),
        unlisted=unlisted,
        extra=extra,
        differing=_differing(case),
        rebuilt_differing=_rebuilt_differing(case),
        observed_digest=observed_digest(case),
        counts=dict(sorted(Counter(judgement.verdict for judgement in paths).items())),
    )


def _overall(case: Case, findings: list[Finding], reached: bool) -> Overall:  # noqa: FBT001 - two facts, one answer
    if any(finding.severity == "fail" for finding in findings):
        return "failed"
    if case.manifest is None or not reached or case.self_test is not None:
        return "undecided"
    return "passed"


def _differing(case: Case) -> tuple[Observed, ...]:
    if case.manifest is None:
        return ()
    found = [
        Observed(path=record.path, nar_hash=seen.nar_hash)
        for record in case.manifest.paths
        if (seen := case.observation.paths.get(record.path)) is not None
        and seen.nar_hash is not None
        and seen.nar_hash != record.nar_hash
    ]
    return tuple(found[:MAX_LISTED])


def _rebuilt_differing(case: Case) -> tuple[Observed, ...]:
    if case.manifest is None or case.rebuild is None:
        return ()
    found = [
        Observed(path=record.path, nar_hash=seen.rebuilt)
        for record in case.manifest.paths
        if (seen := case.rebuild.outputs.get(record.path)) is not None
        and seen.rebuilt is not None
        and seen.rebuilt != record.nar_hash
    ]
    return tuple(found[:MAX_LISTED])


def observed_digest(case: Case) -> str | None:
    """Return the SHA-256 over `path NUL sri LF` of everything that was read, sorted; None if nothing was."""
    lines = [
        f"{path}\0{seen.nar_hash}\n".encode(errors="surrogateescape")
        for path, seen in sorted(case.observation.paths.items())
        if seen.nar_hash is not None
    ]
    return hashlib.sha256(b"".join(lines)).hexdigest() if lines else None
