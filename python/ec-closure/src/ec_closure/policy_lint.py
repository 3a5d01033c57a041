"""What deserves a second look in a policy that is valid: pure, by a day that is given.

Nothing here makes a policy invalid (`policy.decode` does that): a wide pattern may be meant, an expired entry fails the
runs and not the file.
"""

from __future__ import annotations

import datetime
import fnmatch
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Literal

from ec_closure.findings import KINDS
from ec_closure.policy import PROMISES
from ec_closure.record import Record, Sha256, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ec_closure.policy import Accepted, Policy, Promise, Unreproducible

FAR = datetime.timedelta(days=731)
"""A promise to look again in more than two years is none."""

GRAVE = frozenset({"EV101", "EV103", "EV107", "EV201", "EV202", "EV206", "EV207", "EV210", "EV303", "EV401", "EV402"})
"""What nothing harmless causes on a node that is left alone."""

_LITERAL = re.compile(r"[^*?.\-/]")
_DANGEROUS = ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
_MAX = 1000
_WEIGHT = {"fail": 2, "warn": 1, "info": 0}
# Names are lower case, so that one of these is a hash that was copied along.
_HASH = re.compile(r"[0-9a-df-np-sv-z]{32}-")


class Note(Record, frozen=True, kw_only=True):
    """One thing that deserves a look. *place* is the key that it is about."""

    level: Literal["warn", "info"]
    place: Text
    message: Text


class PolicyCheck(Record, frozen=True, kw_only=True):
    """What `ec-verify policy check --json` prints. *policy* is the file, *digest* its SHA-256, as in reports."""

    policy: Text
    digest: Sha256
    notes: tuple[Note, ...] = ()


def lint(policy: Policy, today: datetime.date) -> tuple[Note, ...]:
    """Return what deserves a look, in the order of the file's keys. *today* is a day of UTC."""
    return (
        *_severity(policy),
        *_systems(policy),
        *_metadata(policy),
        *_wide(policy),
        *_duplicates(policy),
        *_entries("unreproducible", policy.unreproducible, today),
        *_entries("accept", policy.accept, today),
        *_shadowed("unreproducible", policy.unreproducible),
        *_shadowed("accept", policy.accept),
        *_acceptances(policy.accept),
    )


def _warn(place: str, message: str) -> Note:
    return Note(level="warn", place=place, message=message[:_MAX])


def _info(place: str, message: str) -> Note:
    return Note(level="info", place=place, message=message[:_MAX])


def _severity(policy: Policy) -> Iterable[Note]:
    for code, given in policy.severity.items():
        kind, place = KINDS[code], f"severity.{code}"
        if given == kind.severity:
            yield _info(place, f"is {given} anyway")
        elif code in GRAVE:
            yield _warn(place, f"{kind.title}: nothing harmless causes it, and every run would pass over it")
        elif kind.severity == "fail" and code in PROMISES:
            yield _warn(place, f"{kind.title}: without failing, no entry of this file ever ends")
        elif _WEIGHT[given] < _WEIGHT[kind.severity]:
            yield _info(place, f"{kind.title}: {given} instead of {kind.severity}, everywhere and without an end")


def _systems(policy: Policy) -> Iterable[Note]:
    if not policy.systems:
        yield _info("systems", "empty: any system that the pinned root vouches for may run")


def _metadata(policy: Policy) -> Iterable[Note]:
    for at, pattern in enumerate(policy.metadata.attributes):
        covered = [name for name in _DANGEROUS if fnmatch.fnmatchcase(name, pattern)]
        if covered:
            yield _warn(f"metadata.attributes[{at}]", f"{pattern!r} lets {covered[0]} pass, which gives rights")


def _wide(policy: Policy) -> Iterable[Note]:
    for place, pattern in policy.patterns():
        if _LITERAL.search(pattern) or place.startswith(("metadata.", "accept")):
            continue
        yield _warn(place, f"{pattern!r} covers everything, and so what an attacker adds")


def _duplicates(policy: Policy) -> Iterable[Note]:
    lists: dict[str, list[str]] = defaultdict(list)
    for place, pattern in policy.patterns():
        key, bracket, _ = place.rpartition("[")
        if bracket and place.endswith("]"):
            if pattern in lists[key]:
                yield _info(place, f"{pattern!r} stands in {key} twice")
            lists[key].append(pattern)


def _entries(key: str, entries: Sequence[Promise], today: datetime.date) -> Iterable[Note]:
    for at, entry in enumerate(entries):
        place = f"{key}[{at}]"
        if entry.expired(today):
            yield _warn(f"{place}.expires", f"{entry.pattern!r} expired on {entry.expires}: every run fails")
        elif entry.expires_soon(today):
            days = (entry.expires - today).days
            yield _warn(f"{place}.expires", f"{entry.pattern!r} ends on {entry.expires}, in {days} days")
        elif entry.expires - today > FAR:
            yield _info(f"{place}.expires", f"{entry.expires} is years away: nobody will remember to look again")
        if "@" in entry.owner:
            yield _warn(f"{place}.owner", f"{entry.owner!r} looks like a person's address; name a role")
        if _HASH.match(entry.pattern):
            yield _warn(f"{place}.pattern", f"{entry.pattern!r} begins with a hash, and names are compared without")
        elif "/" in entry.pattern and key == "unreproducible":
            yield _warn(f"{place}.pattern", f"{entry.pattern!r} is a path, and names have no slash")


def _shadowed(key: str, entries: Sequence[Unreproducible] | Sequence[Accepted]) -> Iterable[Note]:
    """Say which entries never have their turn, since the first that fits counts."""
    before: list[tuple[int, str, str]] = []
    for at, entry in enumerate(entries):
        code = getattr(entry, "code", "")
        for earlier, pattern, other in before:
            if code == other and (pattern == entry.pattern or fnmatch.fnmatchcase(entry.pattern, pattern)):
                message = f"{entry.pattern!r} never counts: {key}[{earlier}], {pattern!r}, covers it and comes first"
                yield _warn(f"{key}[{at}].pattern", message)
                break
        before.append((at, entry.pattern, code))


def _acceptances(entries: Sequence[Accepted]) -> Iterable[Note]:
    for at, entry in enumerate(entries):
        if not _LITERAL.search(entry.pattern) and entry.pattern != "*":
            yield _warn(f"accept[{at}].pattern", f"{entry.pattern!r} covers every {entry.code} that names a path")
        elif entry.pattern == "*":
            yield _warn(f"accept[{at}].pattern", f"'*' covers every {entry.code}, whatever it is about")
        if entry.code in GRAVE:
            title = KINDS[entry.code].title
            yield _warn(f"accept[{at}].code", f"{entry.code} ({title}): nothing harmless causes it")
        elif entry.code == "EV501":
            yield _info(f"accept[{at}].code", "differences of a rebuild belong into [[unreproducible]]")
        elif KINDS[entry.code].severity == "info":
            yield _info(f"accept[{at}].code", f"{entry.code} is information anyway")
