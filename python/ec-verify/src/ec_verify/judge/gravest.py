"""Which findings of many are told: nobody hides what fails behind a thousand things that do not."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from ec_closure.report import MAX_LISTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ec_closure.report import Finding

_ORDER = ("fail", "warn", "info")


def gravest(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Return at most `MAX_LISTED` *findings*, the gravest first, else in their order."""
    return islice(sorted(findings, key=lambda finding: _ORDER.index(finding.severity)), MAX_LISTED)
