"""What `ec-release gate` says: findings, gates and publications, as one document. Values alone.

`decode` reads one that somebody else brings, as the dashboard does.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ec_closure import strict_json
from ec_closure.record import Count, Line, Record

MAX_BYTES = 4 << 20

GATES = (
    "source-of-truth",
    "security-parity",
    "publication-parity",
    "deployment-consumption",
    "documentation-convergence",
    "ownership",
)
Gate = Literal[
    "source-of-truth",
    "security-parity",
    "publication-parity",
    "deployment-consumption",
    "documentation-convergence",
    "ownership",
]


class Finding(Record, frozen=True, kw_only=True):
    """Something that is wrong, or is worth saying. *via* are the calls that lead there, outermost first."""

    code: Line
    severity: Literal["fail", "info"]
    file: Line
    line: Count
    message: Line
    via: tuple[Line, ...] = ()


class Evidence(Record, frozen=True, kw_only=True):
    """One part of a gate: whether it is met, and the line that says so (0: no line does)."""

    met: bool
    says: Line
    file: Line = "docs/release-authority.toml"
    line: Count = 0


class GateResult(Record, frozen=True, kw_only=True):
    """One gate for one authority: met when every part of it is."""

    gate: Gate
    met: bool
    evidence: tuple[Evidence, ...]


class AuthorityResult(Record, frozen=True, kw_only=True):
    """The six gates for the current authority, or for a proposed one."""

    name: Line
    current: bool
    met: bool
    gates: tuple[GateResult, ...]


class Published(Record, frozen=True, kw_only=True):
    """One publication that a workflow of the repository makes."""

    kind: Line
    target: Line
    source: Line
    tool: Line
    workflow: Line
    job: Line
    file: Line
    line: Count


class Judgement(Record, frozen=True, kw_only=True):
    """The whole answer. *passed* is false when a finding fails."""

    schema: Literal["ec-runner.release-gate.v1"] = "ec-runner.release-gate.v1"
    passed: bool
    authority: Line
    repository: Line
    publications: tuple[Published, ...]
    authorities: tuple[AuthorityResult, ...]
    findings: tuple[Finding, ...]


# While there is one thread: a type that is first read in two at once may be read wrongly.
_WORKED_OUT = msgspec.json.Decoder(Judgement)


def decode(data: bytes, *, what: str = "gate") -> Judgement:
    """Return what `ec-release gate --json` printed. Raises `BadInputError`. Not checked: whether any of it is true."""
    return strict_json.decode(data, Judgement, what=what, max_bytes=MAX_BYTES, max_depth=16)
