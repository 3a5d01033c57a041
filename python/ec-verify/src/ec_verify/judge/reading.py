"""How much of what is judged was seen in this run, and how old the rest is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.report import Reading

if TYPE_CHECKING:
    from ec_verify.judge.case import Case, PathJudgement


def reading(case: Case, paths: tuple[PathJudgement, ...]) -> Reading:
    """Return the account of a run, over all paths that were looked at."""
    looks = case.observation.paths.values()
    since = [look.as_at for look in looks if look.as_at is not None]
    before = [one.rebuilt_at for one in paths if one.rebuilt_at is not None]
    return Reading(
        read=sum(look.as_at is None and look.nar_hash is not None for look in looks),
        unchanged=len(since),
        oldest_age=max(0, case.time - min(since, default=case.time)),
        rebuilt=sum(one.verdict == "rebuilt" for one in paths),
        rebuilt_before=len(before),
        oldest_rebuild_age=max(0, case.time - min(before, default=case.time)),
    )
