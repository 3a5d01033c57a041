"""What an auditor finds out about a published release: `ec-release audit --json`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ec_closure.record import Count, Record, Text

MAX_PROBLEMS = 100

Result = Literal["pass", "fail", "not-done", "skipped"]


class AuditCheck(Record, frozen=True, kw_only=True):
    """One thing that was looked at.

    `not-done` could not be looked at, `skipped` was not to be; *detail* says what was seen, or why not. *problems* are
    what does not hold, a line each, at most `MAX_PROBLEMS`.
    """

    name: Text
    result: Result
    detail: Text
    problems: Annotated[tuple[Text, ...], msgspec.Meta(max_length=MAX_PROBLEMS)] = ()


class Audit(Record, frozen=True, kw_only=True):
    """The outcome: *release* is the version of the release *tag*, None where nothing trustworthy says it.

    `passed`: every check passed or was skipped; `failed`: one failed; else `undecided`.
    """

    schema: Literal["ec-runner.audit.v1"] = "ec-runner.audit.v1"
    tag: Text
    place: Text
    verdict: Literal["passed", "failed", "undecided"]
    reference_time: Count
    release: Count | None = None
    root_version: Count | None = None
    checks: tuple[AuditCheck, ...]


def verdict(checks: tuple[AuditCheck, ...]) -> Literal["passed", "failed", "undecided"]:
    """Return what *checks* say together."""
    results = {check.result for check in checks}
    if "fail" in results:
        return "failed"
    return "undecided" if "not-done" in results else "passed"
