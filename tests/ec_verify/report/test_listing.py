"""Which findings a report lists when there are too many."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from ec_closure.findings import Severity
from ec_closure.report import Finding, LeftOut
from ec_verify.judge.causes import WEIGHT
from ec_verify.report.listing import listed


def finding(code: str, severity: Severity = "fail", number: int = 0) -> Finding:
    """Return a finding."""
    return Finding(code=code, severity=severity, message=str(number), hint="h")


findings = st.lists(
    st.builds(
        finding,
        st.sampled_from(["EV201", "EV205", "EV208"]),
        st.sampled_from(get_args(Severity)),
        st.integers(0, 3),
    ),
    max_size=30,
).map(tuple)


def test_a_thousand_of_one_kind_do_not_hide_the_only_one_of_another() -> None:
    """Every code has its turn before one has its second."""
    many = (*(finding("EV201", number=number) for number in range(10)), finding("EV206"), finding("EV205", "info"))

    kept, left = listed(many, 4)

    assert ["EV201", "EV201", "EV201", "EV206"] == [one.code for one in kept]
    assert (
        LeftOut(code="EV201", severity="fail", count=7),
        LeftOut(code="EV205", severity="info", count=1),
    ) == left


def test_what_fits_is_left_alone() -> None:
    """In its order, and nothing is said to be left out."""
    some = (finding("EV208"), finding("EV201", "info"))

    assert (some, ()) == listed(some, 2)


@given(findings, st.integers(1, 31))
def test_nothing_is_lost_without_a_word(found: tuple[Finding, ...], limit: int) -> None:
    """What is listed and what is counted are all there was; the lighter go first."""
    kept, left = listed(found, limit)

    assert min(limit, len(found)) == len(kept)
    counted = Counter((one.code, one.severity) for one in kept)
    counted.update({(one.code, one.severity): one.count for one in left})
    assert Counter((one.code, one.severity) for one in found) == counted
    if left:
        lightest = max(WEIGHT[one.severity] for one in kept)
        assert all(WEIGHT[one.severity] >= lightest for one in left)
    positions = iter(found)
    assert all(one in positions for one in kept)
