"""Step 6, judge: a pure function of what was observed, the policy and a reference time."""

from ec_verify.judge.case import Case, Judgement, PathJudgement
from ec_verify.judge.judge import judge

__all__ = ["Case", "Judgement", "PathJudgement", "judge"]
