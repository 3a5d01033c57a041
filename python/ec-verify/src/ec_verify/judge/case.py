"""What the judge is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure.findings import KINDS
from ec_closure.report import Finding
from ec_verify.text import clip, one_line, printable

if TYPE_CHECKING:
    from ec_closure.findings import Severity
    from ec_closure.manifest import Manifest, PathRecord
    from ec_closure.policy import Level, Policy
    from ec_closure.report import Coverage, Freshness, Listed, Observed, Overall, PathVerdict
    from ec_verify.model import Evaluation, Observation, Problem, Rebuild, TrustOutcome

_MAX_MESSAGE = 1000
_MAX_PATH = 1024


@dataclass(frozen=True)
class Case:
    """Everything that a verdict rests on. *time* in seconds since 1970. Steps that did not happen are None."""

    level: Level
    policy: Policy
    time: int
    store_dir: str
    trust: TrustOutcome
    observation: Observation
    evaluation: Evaluation | None = None
    rebuild: Rebuild | None = None
    self_test: str | None = None

    @property
    def manifest(self) -> Manifest | None:
        """The trusted manifest of the running system."""
        return self.trust.manifest

    def finding(self, code: str, message: str, path: str | None = None, *, weight: Severity | None = None) -> Finding:
        """Return a finding with the severity that policy gives it, else *weight*, else the catalogue's.

        Message and path may hold whatever lies on the disk: here they become fit for terminal and report.
        """
        return Finding(
            code=code,
            severity=self.policy.severity.get(code, weight or KINDS[code].severity),
            message=one_line(message, _MAX_MESSAGE) or KINDS[code].title,
            hint=KINDS[code].hint,
            path=clip(printable(path), _MAX_PATH) if path else None,
        )

    def raise_problems(self, problems: tuple[Problem, ...]) -> list[Finding]:
        """Return the findings that *problems* of a step become."""
        return [self.finding(problem.code, problem.message, problem.path) for problem in problems]


@dataclass(frozen=True)
class PathJudgement:
    """The verdict on one path of the manifest, and why it is not a better one."""

    record: PathRecord
    verdict: PathVerdict
    reason: str = ""


@dataclass(frozen=True)
class Judgement:
    """The result of a run, without who ran it."""

    verdict: Overall
    level_reached: Level | None
    paths: tuple[PathJudgement, ...]
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    freshness: Freshness
    unlisted: Listed
    extra: Listed
    differing: tuple[Observed, ...]
    rebuilt_differing: tuple[Observed, ...]
    observed_digest: str | None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """The program's exit code: 1 beats 3 beats 0 (design §5)."""
        return {"failed": 1, "undecided": 3, "passed": 0}[self.verdict]
