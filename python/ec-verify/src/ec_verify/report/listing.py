"""Which findings a report lists when there are more than it may hold. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ec_closure.report import MAX_LISTED, LeftOut
from ec_verify.judge.causes import WEIGHT

if TYPE_CHECKING:
    from ec_closure.report import Finding


def listed(findings: tuple[Finding, ...], limit: int = MAX_LISTED) -> tuple[tuple[Finding, ...], tuple[LeftOut, ...]]:
    """Return at most *limit* of *findings*, in their order, and how many of each kind are left out.

    What weighs more goes first; among those of one weight every code has its turn, so that a thousand of one kind do
    not hide the only one of another.
    """
    if len(findings) <= limit:
        return findings, ()
    turns: Counter[tuple[str, str]] = Counter()
    order = []
    for at, one in enumerate(findings):
        turns[one.severity, one.code] += 1
        order.append((WEIGHT[one.severity], turns[one.severity, one.code], at))
    kept = sorted(at for _, _, at in sorted(order)[:limit])
    left = Counter((one.code, one.severity) for one in findings)
    left.subtract(Counter((findings[at].code, findings[at].severity) for at in kept))
    out = (
        LeftOut(code=code, severity=severity, count=count) for (code, severity), count in sorted(left.items()) if count
    )
    return tuple(findings[at] for at in kept), tuple(out)
