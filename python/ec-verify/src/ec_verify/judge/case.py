"""What the judge is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from ec_closure.findings import KINDS
from ec_closure.policy import subject, today
from ec_closure.report import Finding
from ec_verify.model import Recall, Standing
from ec_verify.text import clip, one_line, printable

if TYPE_CHECKING:
    import datetime

    from ec_closure.findings import Severity
    from ec_closure.manifest import Manifest, PathRecord
    from ec_closure.policy import Level, Policy
    from ec_closure.report import Cause, Coverage, Freshness, Listed, Observed, Overall, PathVerdict, Reading
    from ec_verify.config_tables import StoreLayersKind
    from ec_verify.model import Evaluation, Observation, Problem, Rebuild, TrustOutcome

_MAX_MESSAGE = 1000
_MAX_NOTE = 400
_MAX_PATH = 1024
_WEIGHT: dict[Severity, int] = {"info": 0, "warn": 1, "fail": 2}


@dataclass(frozen=True)
class Case:
    """Everything that a verdict rests on. *time* in seconds since 1970. Steps that did not happen are None.

    *store_layers* is what the configuration wants on the store directory.
    """

    level: Level
    policy: Policy
    time: int
    store_dir: str
    trust: TrustOutcome
    observation: Observation
    evaluation: Evaluation | None = None
    rebuild: Rebuild | None = None
    self_test: str | None = None
    store_layers: StoreLayersKind = "auto"
    recall: Recall = field(default_factory=Recall)
    standing: Standing = field(default_factory=Standing)

    @property
    def manifest(self) -> Manifest | None:
        """The trusted manifest of the running system."""
        return self.trust.manifest

    @property
    def family(self) -> frozenset[str]:
        """The systems that the running system's manifest vouches for: itself and its specialisations."""
        return frozenset(systems_of(self.manifest)) if self.manifest is not None else frozenset()

    @property
    def parent(self) -> str | None:
        """The signed system whose specialisation runs, None where it runs itself."""
        return self.manifest.system.out_path if self.manifest is not None and self.trust.specialisation else None

    @property
    def trusted(self) -> frozenset[str]:
        """The systems that manifests of other generations vouch for."""
        return frozenset(path for manifest in self.trust.others for path in systems_of(manifest))

    @property
    def today(self) -> datetime.date:
        """The day by which entries of the policy are judged, in UTC."""
        return today(self.time)

    def finding(self, code: str, message: str, path: str | None = None, *, weight: Severity | None = None) -> Finding:
        """Return a finding with the severity that policy gives it, else *weight*, else the catalogue's.

        An acceptance of the policy makes it information, and stands behind the message. Message and path may hold
        whatever lies on the disk: here they become fit for terminal and report.
        """
        shown = clip(printable(path), _MAX_PATH) if path else None
        said = one_line(message, _MAX_MESSAGE) or KINDS[code].title
        severity = self.policy.severity.get(code, weight or KINDS[code].severity)
        entry = self.policy.accepted(code, subject(shown, self.store_dir))
        if entry is not None and entry.expired(self.today):
            said = _noted(said, f"the acceptance by {entry.owner} expired on {entry.expires}")
        elif entry is not None:
            said = _noted(said, f"accepted until {entry.expires} by {entry.owner}: {entry.reason}")
            severity = "info"
        return Finding(code=code, severity=severity, message=said, hint=KINDS[code].hint, path=shown)

    def weaker(self, code: str, severity: Severity, message: str, path: str | None = None) -> Finding:
        """Return a finding that weighs at most *severity*, unless policy weighs its code."""
        found = self.finding(code, message, path)
        if code in self.policy.severity or _WEIGHT[found.severity] <= _WEIGHT[severity]:
            return found
        return msgspec.structs.replace(found, severity=severity)

    def raise_problems(self, problems: tuple[Problem, ...]) -> list[Finding]:
        """Return the findings that *problems* of a step become."""
        return [self.finding(problem.code, problem.message, problem.path) for problem in problems]


def systems_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the systems that *manifest* describes: the toplevel and its specialisations."""
    return tuple(dict.fromkeys((manifest.system.out_path, *manifest.system.specialisations.values())))


def _noted(message: str, note: str) -> str:
    """Return *message* with *note* behind it; where both are too long, the message is cut."""
    behind = f" ({one_line(note, _MAX_NOTE)})"
    return clip(message, _MAX_MESSAGE - len(behind)) + behind


@dataclass(frozen=True)
class PathJudgement:
    """The verdict on one path of the manifest, and why it is not a better one.

    *rebuilt_at* is when an earlier run rebuilt it as signed, in seconds since 1970, where that counts as a rebuild.
    """

    record: PathRecord
    verdict: PathVerdict
    reason: str = ""
    rebuilt_at: int | None = None


@dataclass(frozen=True)
class Judgement:
    """The result of a run, without who ran it."""

    verdict: Overall
    level_reached: Level | None
    paths: tuple[PathJudgement, ...]
    causes: tuple[Cause, ...]
    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    freshness: Freshness
    reading: Reading
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
