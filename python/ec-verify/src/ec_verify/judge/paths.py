"""The verdict on every path of the manifest. Design §5 lists what each word means."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import TYPE_CHECKING

from ec_verify.judge.case import Case, PathJudgement
from ec_verify.text import lines

if TYPE_CHECKING:
    from ec_closure.manifest import PathRecord
    from ec_verify.scan.path import PathObservation

_NAMED_CAUSES = 3
_DAY = 86400


def judge_paths(case: Case) -> tuple[PathJudgement, ...]:
    """Return one judgement per path, in the manifest's order; none without a manifest."""
    if case.manifest is None:
        return ()
    found = (_judge(case, record, case.observation.paths.get(record.path)) for record in case.manifest.paths)
    # Reasons quote names and logs, which hold whatever somebody put there.
    return tuple(one if one.reason.isprintable() else replace(one, reason=lines(one.reason)) for one in found)


def _judge(case: Case, record: PathRecord, seen: PathObservation | None) -> PathJudgement:
    if seen is None:
        return PathJudgement(record, "unchecked", "it was not looked at")
    match seen.problem:
        case "missing":
            return PathJudgement(record, "missing", seen.detail)
        case "unarchivable":
            return PathJudgement(record, "corrupt", seen.detail)
        case "unreadable" | "changed":
            return PathJudgement(record, "unchecked", seen.detail)
    if seen.as_at is not None and stale(case, seen):
        return PathJudgement(record, "unchecked", f"last read {moment(seen.as_at)}, longer ago than policy allows")
    if seen.nar_hash != record.nar_hash:
        return PathJudgement(record, "corrupt", _repair(case, record))
    if record.ca is not None:
        if seen.deserved != record.path:
            return PathJudgement(record, "corrupt", misnamed(seen))
        return _as_at(case, seen, PathJudgement(record, "fixed"))
    return _as_at(case, seen, _judge_rebuild(case, record))


def _as_at(case: Case, seen: PathObservation, found: PathJudgement) -> PathJudgement:
    """Return what was *found* with less weight where the bytes were not read in this run: they are then `unchanged`."""
    if seen.as_at is None or found.verdict not in ("rebuilt", "fixed", "matches"):
        return found
    built = case.recall.built.get(found.record.path)
    more = f"; rebuilt as signed {moment(built)}" if built is not None else ""
    return PathJudgement(found.record, "unchanged", f"as at {moment(seen.as_at)}, not read again{more}")


def stale(case: Case, seen: PathObservation) -> bool:
    """Tell whether a path was read too long ago to say anything, or later than now."""
    allowed = case.policy.memory.max_read_age_days * _DAY
    return seen.as_at is not None and not 0 <= case.time - seen.as_at <= allowed


def moment(seconds: int) -> str:
    """Return a time in seconds since 1970 as people write it, in UTC."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%MZ}"


def misnamed(seen: PathObservation) -> str:
    """Say how the bytes that were *seen* and the name that they lie under do not fit."""
    return f"its bytes deserve the name {seen.deserved}" if seen.deserved else seen.detail or "its bytes have no name"


def _repair(case: Case, record: PathRecord) -> str:
    evidence = case.rebuild.outputs.get(record.path) if case.rebuild else None
    if evidence is not None and evidence.rebuilt == record.nar_hash and evidence.unsound is None:
        return "a rebuild gives the signed bytes: it was altered here, or the disk is failing"
    return ""


def _judge_rebuild(case: Case, record: PathRecord) -> PathJudgement:
    remembered = _remembered(case, record)
    if remembered is not None:
        told = f"not rebuilt again: rebuilt as signed {moment(remembered)}, from the same derivation and inputs"
        return PathJudgement(record, "matches", told, rebuilt_at=remembered)
    reason = _why_not_rebuilt(case, record)
    if reason is not None or case.rebuild is None:
        return PathJudgement(record, "matches", reason or "")
    evidence = case.rebuild.outputs[record.path]
    if evidence.rebuilt is None:
        return PathJudgement(record, "unbuildable", evidence.failure or "its builder made nothing")
    if evidence.unsound is not None:
        return PathJudgement(record, "matches", f"rebuilt, but that proves nothing: {evidence.unsound}")
    if evidence.rebuilt != record.nar_hash:
        return PathJudgement(record, "unreproducible", "rebuilt from the signed inputs it comes out otherwise")
    if evidence.tainted_by:
        causes = ", ".join(evidence.tainted_by[:_NAMED_CAUSES])
        more = " …" if len(evidence.tainted_by) > _NAMED_CAUSES else ""
        return PathJudgement(record, "inherited", f"only because of {causes}{more}")
    return PathJudgement(record, "rebuilt")


def _remembered(case: Case, record: PathRecord) -> int | None:
    """Return when an earlier run rebuilt the path, where that counts and this run did not."""
    rebuild = case.rebuild
    if rebuild is None or rebuild.unavailable is not None or record.path in rebuild.outputs:
        return None
    if case.level not in ("rebuild", "full") or (record.origin == "substituted" and case.level == "rebuild"):
        return None
    at = rebuild.remembered.get(record.path)
    allowed = case.policy.memory.max_rebuild_age_days * _DAY
    return at if at is not None and 0 <= case.time - at <= allowed else None


def _why_not_rebuilt(case: Case, record: PathRecord) -> str | None:
    if case.level not in ("rebuild", "full"):
        return f"level {case.level} does not rebuild"
    if record.origin == "substituted" and case.level == "rebuild":
        return f"CI took it from a cache ({record.cache}); level full rebuilds it"
    rebuild = case.rebuild
    if rebuild is None:
        return "not rebuilt: the source was not evaluated"
    if rebuild.unavailable is not None:
        return f"not rebuilt: {rebuild.unavailable}"
    if record.path in rebuild.skipped:
        return f"not rebuilt: {rebuild.skipped[record.path]}"
    if record.path not in rebuild.outputs:
        return "not rebuilt: no derivation of the source makes it"
    return None
