"""Which level was reached, and what was not checked and why. A level with a hole is not reached."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ec_closure.policy import LEVELS
from ec_closure.report import Coverage
from ec_verify.judge.paths import moment, stale
from ec_verify.model import Recall, Standing
from ec_verify.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ec_closure.policy import Level
    from ec_verify.judge.case import Case, PathJudgement
    from ec_verify.model import Rebuild
    from ec_verify.scan.path import PathObservation

_CONCLUSIVE = frozenset({"rebuilt", "fixed", "unreproducible", "inherited", "corrupt", "missing"})
# The parts of `ec_verify.observe.host`.
_HOST = ("boot files", "kernel", "/etc", "units", "rules", "preloaded libraries", "processes")

EPHEMERAL = "rollback protection since boot only, and an ephemeral identity: the state directory lies on {}"
_MAX_REASONS = 50


def level_reached(case: Case, paths: tuple[PathJudgement, ...]) -> Level | None:
    """Return the highest level up to the asked one of which nothing is unchecked."""
    reached: Level | None = None
    for level in LEVELS[: LEVELS.index(case.level) + 1]:
        if not _holds(case, level, paths):
            break
        reached = level
    return reached


def _holds(case: Case, level: Level, paths: tuple[PathJudgement, ...]) -> bool:
    match level:
        case "bytes":
            return (
                case.manifest is not None
                and case.self_test is None
                and not case.observation.problems
                and not case.observation.partial
                and not _gaps(case)
                and all(judgement.verdict != "unchecked" for judgement in paths)
                and case.observation.rows.keys() <= case.observation.paths.keys()
                and not any(_unread(look) or stale(case, look) for look in case.observation.paths.values())
            )
        case "source":
            return case.evaluation is not None and case.evaluation.drv_path is not None
        case "rebuild":
            return _rebuilt(case, [path for path in paths if path.record.origin != "substituted"])
        case "full":
            complete = case.rebuild is not None and all(
                seen.rebuilt is not None for seen in case.rebuild.outputs.values()
            )
            return complete and _rebuilt(case, list(paths))


def _rebuilt(case: Case, paths: list[PathJudgement]) -> bool:
    return (
        case.rebuild is not None
        and case.rebuild.unavailable is None
        and not case.rebuild.problems
        and all(_concluded(case, case.rebuild, judgement) for judgement in paths)
    )


def _concluded(case: Case, rebuild: Rebuild, judgement: PathJudgement) -> bool:
    """Tell whether a rebuild says what there is to say: of now, of a run that still counts, or of other nodes."""
    if judgement.verdict in _CONCLUSIVE or judgement.rebuilt_at is not None:
        return True
    elsewhere = judgement.verdict == "matches" and judgement.record.path in rebuild.elsewhere
    return elsewhere and case.policy.fleet.accept_share


def coverage(case: Case, paths: tuple[PathJudgement, ...]) -> tuple[Coverage, ...]:
    """Return what each step covered."""
    searched = (_references(case),) if case.observation.searched else ()
    remembered = (_reading(case),) if case.recall != Recall() else ()
    seen = (_bytes(case, paths), *searched, *remembered)
    node = (_node(case),) if case.standing != Standing() else ()
    return (_trust(case), *seen, _running(case), _source(case), _rebuild(case, paths), *node)


def _status(done: int, total: int) -> str:
    if done == total and total:
        return "done"
    return "partly" if done else "not done"


def _entry(step: str, done: int, total: int, reasons: Mapping[str, int]) -> Coverage:
    status = _status(done, total)
    return Coverage(
        step=step,
        status="done" if status == "done" else "partly" if status == "partly" else "not done",
        done=done,
        total=total,
        reasons=_counted(reasons),
    )


def _counted(reasons: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent reasons, fit to be printed; the rest is counted together."""
    merged: Counter[str] = Counter()
    for reason, count in reasons.items():
        merged[one_line(reason)] += count
    ordered = sorted(merged.items(), key=lambda item: (-item[1], item[0]))
    kept = dict(sorted(ordered[:_MAX_REASONS]))
    rest = sum(count for _, count in ordered[_MAX_REASONS:])
    return kept | {"other reasons": rest} if rest else kept


def _unread(look: PathObservation) -> bool:
    return look.problem in ("unreadable", "changed")


def _trust(case: Case) -> Coverage:
    reasons = Counter(problem.message for problem in case.trust.problems)
    reasons.update(case.trust.notes)
    if case.trust.offline:
        reasons["last verified metadata were used, not fresh ones"] += 1
    return _entry("trust", int(case.manifest is not None), 1, reasons)


def _bytes(case: Case, paths: tuple[PathJudgement, ...]) -> Coverage:
    seen = case.observation.paths
    unread = Counter(look.detail or "not read" for look in seen.values() if _unread(look))
    unread.update(case.observation.partial)
    # What processes read was hashed; which layer it came from is another matter.
    hidden = case.observation.layers.unknown
    unread.update(hidden)
    if case.manifest is None:
        unread["no manifest: compared with the database and with content addresses only"] = 1
    return _entry(
        "bytes",
        len(seen) - sum(map(_unread, seen.values())),
        max(len(seen), len(paths)) + len(hidden),
        unread,
    )


def _references(case: Case) -> Coverage:
    signed = (*case.manifest.paths, *case.manifest.contents) if case.manifest is not None else ()
    looks = [case.observation.paths.get(record.path) for record in signed]
    done = sum(look is not None and look.occurring is not None for look in looks)
    reasons = {"bytes that were not read were not searched for references": len(looks) - done}
    return _entry("references", done, len(looks), reasons if done < len(looks) else {})


def _reading(case: Case) -> Coverage:
    """Say how many of the paths were read in this run, and of when the rest is."""
    looks = case.observation.paths.values()
    since = [look.as_at for look in looks if look.as_at is not None]
    reasons = Counter(case.recall.notes)
    reasons.update(problem.message for problem in case.recall.problems)
    if since:
        reasons[f"not written to since they were read, the first {moment(min(since))}"] = len(since)
    return _entry("reading", len(looks) - len(since), len(looks), reasons)


def _running(case: Case) -> Coverage:
    running, hidden, host = case.observation.running, case.observation.written.unknown, case.observation.host
    done = 5 + (not hidden) - len(running.unobserved)
    reasons = Counter((*running.unobserved, *hidden))
    if not running.has_profile:
        reasons["no system profile, as on netboot and ISO systems: nothing here says what the next boot takes"] = 1
    if host is None:
        reasons.update(f"{what}: not observed" for what in _HOST)
    else:
        reasons.update((*host.unobserved, *_gaps(case)))
        done += sum(not gaps for gaps in host.gaps.values()) - sum(one.startswith("kernel") for one in host.unobserved)
    return _entry("running state", done, 6 + len(_HOST), reasons)


def _gaps(case: Case) -> list[str]:
    """Return what is there on the machine and could not be read. What the machine does not have is no gap."""
    host = case.observation.host
    if host is None:
        return []
    return [f"{area}: {gap}" for area, gaps in host.gaps.items() for gap in gaps]


def _source(case: Case) -> Coverage:
    if LEVELS.index(case.level) < LEVELS.index("source"):
        return _entry("source", 0, 0, {f"level {case.level} does not evaluate": 1})
    evaluation = case.evaluation
    if evaluation is None:
        return _entry("source", 0, 1, {"not evaluated": 1})
    trees = len(evaluation.inputs) + 1
    return _entry(
        "source",
        sum(check.seen is not None for check in evaluation.inputs)
        + (evaluation.flake is not None)
        + (evaluation.drv_path is not None),
        trees + 1,
        Counter([*(problem.message for problem in evaluation.problems), *evaluation.notes]),
    )


def _rebuild(case: Case, paths: tuple[PathJudgement, ...]) -> Coverage:
    if case.level not in ("rebuild", "full"):
        return _entry("rebuild", 0, 0, {f"level {case.level} does not rebuild": 1})
    done = [judgement for judgement in paths if judgement.verdict in _CONCLUSIVE]
    reasons = Counter(
        "rebuilt by an earlier run that still counts"
        if judgement.rebuilt_at is not None
        else judgement.reason.split("\n")[0] or judgement.verdict
        for judgement in paths
        if judgement.verdict not in _CONCLUSIVE
    )
    if case.rebuild is not None and case.rebuild.build_only:
        reasons["build-only outputs, rebuilt but in no manifest to compare with"] = case.rebuild.build_only
    return _entry("rebuild", len(done), len(paths), reasons)


def _node(case: Case) -> Coverage:
    """Say what of the node's own word outlives a reboot, and whether its report is fresh."""
    standing = case.standing
    reasons: Counter[str] = Counter()
    if standing.volatile is not None:
        reasons[EPHEMERAL.format(standing.volatile)] = 1
    if standing.unknown is not None:
        reasons[f"not known whether the state directory outlives a reboot: {standing.unknown}"] = 1
    if standing.nonce is not None:
        reasons[standing.nonce_note] = 1
    return _entry(
        "node",
        int(standing.volatile is None and standing.unknown is None) + int(bool(standing.nonce)),
        1 + int(standing.nonce is not None),
        reasons,
    )
