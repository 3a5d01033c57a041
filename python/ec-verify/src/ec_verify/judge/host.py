"""Findings about the machine around the store (EV307 to EV316, EV320)."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from ec_verify.judge.boot import judge_boot
from ec_verify.judge.etc import judge_etc, judge_preloads
from ec_verify.judge.kernel import judge_kernel
from ec_verify.judge.processes import judge_processes
from ec_verify.judge.rules import judge_rules
from ec_verify.judge.units import judge_units

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.report import Finding
    from ec_verify.judge.case import Case


def judge_host(case: Case) -> Iterable[Finding]:
    """Judge what was seen of the machine. Nothing when it was not looked at, which coverage tells."""
    judges = (judge_boot, judge_kernel, judge_etc, judge_units, judge_rules, judge_preloads, judge_processes)
    return chain.from_iterable(judge(case) for judge in judges)
