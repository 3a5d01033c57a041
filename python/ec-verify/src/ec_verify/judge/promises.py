"""What is said of the policy's own entries: a promise to look again is kept, is due, or has nothing left to excuse."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ec_closure.policy import LEVELS, subject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.policy import Accepted, Level, Promise, Unreproducible
    from ec_closure.report import Finding, PathVerdict
    from ec_verify.judge.case import Case, PathJudgement

_SETTLED: frozenset[PathVerdict] = frozenset({"rebuilt", "fixed", "inherited", "unreproducible"})
_NEEDS: dict[str, Level] = {"EV4": "source", "EV5": "rebuild"}


def judge_promises(case: Case, paths: tuple[PathJudgement, ...], findings: list[Finding]) -> list[Finding]:
    """Return the findings about the register and the acceptances. *findings* are all others.

    An expired entry fails whether it covers anything or not; one that covers a difference is named at that path
    already (`EV504`).
    """
    return [*_register(case, paths), *_acceptances(case, findings)]


def _register(case: Case, paths: tuple[PathJudgement, ...]) -> Iterable[Finding]:
    covered = _covered(case, paths)
    rebuilt = case.rebuild is not None and case.rebuild.unavailable is None
    for entry in dict.fromkeys(case.policy.unreproducible):
        verdicts = covered[entry]
        named = f"the register's entry {entry.pattern!r}"
        if entry.expired(case.today):
            if "unreproducible" not in verdicts:
                yield case.finding("EV504", f"{named} ({entry.owner}) expired on {entry.expires}")
            continue
        if entry.expires_soon(case.today):
            yield _soon(case, named, entry)
        if rebuilt and not verdicts:
            yield case.finding("EV912", f"{named} fits no path of this system, or none before another entry")
        elif rebuilt and "unreproducible" not in verdicts and _SETTLED.issuperset(verdicts):
            yield case.finding("EV912", f"{named}: what it fits ({len(verdicts)} paths) came out as signed")


def _covered(case: Case, paths: tuple[PathJudgement, ...]) -> dict[Unreproducible, list[PathVerdict]]:
    """Return the verdicts on the paths that each entry of the register covers."""
    covered: dict[Unreproducible, list[PathVerdict]] = defaultdict(list)
    for judgement in paths if case.policy.unreproducible else ():
        entry = case.policy.known_unreproducible(subject(judgement.record.path, case.store_dir))
        if entry is not None:
            covered[entry].append(judgement.verdict)
    return covered


def _acceptances(case: Case, findings: list[Finding]) -> Iterable[Finding]:
    used = {
        case.policy.accepted(finding.code, subject(finding.path, case.store_dir))
        for finding in (findings if case.policy.accept else ())
    }
    for entry in dict.fromkeys(case.policy.accept):
        named = f"the acceptance of {entry.code} for {entry.pattern!r}"
        if entry.expired(case.today):
            yield case.finding("EV910", f"{named} ({entry.owner}) expired on {entry.expires}")
            continue
        if entry.expires_soon(case.today):
            yield _soon(case, named, entry)
        if entry not in used and _could_be_found(case, entry):
            yield case.finding("EV912", f"{named}: nothing of the kind was found")


def _soon(case: Case, named: str, entry: Promise) -> Finding:
    days = (entry.expires - case.today).days
    return case.finding("EV911", f"{named} ({entry.owner}) ends on {entry.expires}, in {days} days")


def _could_be_found(case: Case, entry: Accepted) -> bool:
    """Tell whether this run looked everywhere where findings of the entry's code come from."""
    area = entry.code[:3]
    if area == "EV5" and (case.rebuild is None or case.rebuild.unavailable is not None or case.rebuild.skipped):
        return False
    return LEVELS.index(case.level) >= LEVELS.index(_NEEDS.get(area, "bytes"))
