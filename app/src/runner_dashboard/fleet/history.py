"""The fleet over time, from numbers by day: what nodes said, which releases they ran, what was proven."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

import msgspec

from runner_dashboard.retention.daily import DAY, series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from runner_dashboard.retention.daily import Daily

MAX_DAYS: Final = 400
_RELEASES: Final = 6
"""How many releases have a line of their own: the newest that nodes ran."""
OTHERS: Final = "older"
NONE: Final = "no trusted manifest"
COVERAGE: Final[dict[str, tuple[str, ...]]] = {
    "proven": ("rebuilt", "fixed"),
    "as signed": ("matches", "unchanged"),
    "not reproducible": ("unreproducible", "inherited", "unbuildable"),
    "broken": ("corrupt", "missing"),
    "not looked at": ("unchecked",),
}
"""What the verdicts on paths come to: rebuilt by a node or fixed by their hash; as CI signed them; and so on."""


class Line(msgspec.Struct, frozen=True):
    """One *name* with a number for each day."""

    name: str
    values: list[int]


class History(msgspec.Struct, frozen=True):
    """Numbers of the *days* (their beginnings, seconds since 1970) that are over: nodes by verdict, by release, paths.

    A day on which nobody reported is there, with zeros. Of each node the last report of a day counts.
    """

    days: list[int]
    verdicts: list[Line]
    releases: list[Line]
    paths: list[Line]


def history(connection: Connection, now: int, count: int) -> History:
    """Return the last *count* days before today, from the first on which somebody reported."""
    today = now // DAY * DAY
    return arranged(series(connection, today - count * DAY), today)


def arranged(found: Sequence[Daily], today: int) -> History:
    """Return numbers by day as lines. Pure."""
    if not found:
        return History([], [], [], [])
    days = list(range(found[0].day, today, DAY))
    verdicts: dict[str, Counter[int]] = defaultdict(Counter)
    releases: dict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    paths: dict[str, Counter[int]] = defaultdict(Counter)
    for one in found:
        verdicts[one.verdict][one.day] += one.nodes
        releases[one.version, one.tag][one.day] += one.nodes
        for name, words in COVERAGE.items():
            paths[name][one.day] += sum(one.paths.get(word, 0) for word in words)
    return History(
        days=days,
        verdicts=_lines(days, ((word, verdicts[word]) for word in ("passed", "undecided", "failed"))),
        releases=_lines(days, _newest(releases)),
        paths=_lines(days, ((name, paths[name]) for name in COVERAGE)),
    )


def _newest(releases: Mapping[tuple[int, str], Counter[int]]) -> list[tuple[str, Counter[int]]]:
    """Return the newest releases by name, the oldest first, after all that came before them."""
    order = sorted(releases)
    old, new = order[: max(len(order) - _RELEASES, 0)], order[-_RELEASES:]
    found = [(tag or NONE, releases[version, tag]) for version, tag in new]
    if old:
        found.insert(0, (OTHERS, sum((releases[key] for key in old), Counter())))
    return found


def _lines(days: Sequence[int], rows: Iterable[tuple[str, Counter[int]]]) -> list[Line]:
    return [Line(name, [counts[day] for day in days]) for name, counts in rows if counts.total()]
