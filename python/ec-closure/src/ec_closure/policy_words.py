"""A policy in words: all of it, or what it does with one finding's code, one path or one name. Pure."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from ec_closure.findings import KINDS
from ec_closure.policy import PROMISES, matches, subject
from ec_closure.record import Record, Sha256, Text

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable

    from ec_closure.policy import Policy, Promise

_MAX = 1000
_UPPER = "paths in the upper layer of the root overlay, besides the usual ones"
# What may be around the store, and which findings speak of the rest.
_AROUND = {
    "allowed_boot": ("files of boot directories that no entry names", ("EV309",)),
    "allowed_parameters": ("words of the kernel's command line that the booted system has not", ("EV310",)),
    "allowed_etc": (
        "names below /etc that differ from the running system's, besides the usual ones",
        ("EV311", "EV312"),
    ),
    "allowed_units": ("units, drop-ins and rules from outside the store", ("EV313", "EV320")),
    "allowed_processes": ("programs and libraries from outside the store, in processes", ("EV315",)),
    "allowed_modules": ("kernel modules that the booted system has not", ("EV316",)),
}
_LEVELS = {
    "bytes": "disk, metadata, database and what runs must be as CI signed them",
    "source": "and the embedded source must evaluate to what runs",
    "rebuild": "and what CI built must come out the same when it is built again",
    "full": "and so must every derivation of the build graph",
}


class Says(Record, frozen=True, kw_only=True):
    """One thing that the policy says. *about* is the key, code or entry that says it."""

    about: Text
    text: Text


class PolicyExplanation(Record, frozen=True, kw_only=True):
    """What `ec-verify policy explain --json` prints. *subject* is what was asked about, None for everything."""

    digest: Sha256
    subject: Text | None = None
    says: tuple[Says, ...] = ()


def whole(policy: Policy, today: datetime.date) -> tuple[Says, ...]:
    """Say what the policy says, key by key; *today* decides what has expired."""
    return (
        _says("level", f"a run must reach {policy.level}: {_reach(policy)}"),
        _says("freshness", _freshness(policy)),
        _says("memory", _memory(policy)),
        _says("fleet", _fleet(policy)),
        _says("systems", f"{_systems(policy)}; {_specialisations(policy)}"),
        *(_says(f"severity.{code}", _weight(policy, code)) for code in sorted(policy.severity)),
        _says("metadata", _metadata(policy)),
        _says("allowed_unlisted", _listed(policy.allowed_unlisted, "registered paths that no manifest lists")),
        _says("allowed_extra", _listed(policy.allowed_extra, "entries of the store directory without a row")),
        _says("allowed_upper", _listed(policy.allowed_upper, _UPPER)),
        *(_says(key, _listed(getattr(policy, key), what)) for key, (what, _) in _AROUND.items()),
        _says("cache_keys", f"{len(policy.cache_keys)} keys vouch for build inputs that no manifest lists"),
        *_entries("unreproducible", policy.unreproducible, today),
        *_entries("accept", policy.accept, today),
        _says("everything else", "weighs what the catalogue of findings says"),
    )


def about_code(policy: Policy, code: str, today: datetime.date) -> tuple[Says, ...]:
    """Say what the policy does with findings of *code*, which is one of the catalogue."""
    kind = KINDS[code]
    found = [_says(code, f"{kind.title}: {_weight(policy, code)}"), _says("what to do", kind.hint)]
    rule = _rule(policy, code)
    if rule:
        found.append(rule)
    if code in ("EV501", "EV504"):
        found += _entries("unreproducible", policy.unreproducible, today)
        if not policy.unreproducible:
            found.append(_says("unreproducible", "the register is empty: every difference counts"))
    found += [
        said
        for at, entry in enumerate(policy.accept)
        if entry.code == code
        for said in _entries(f"accept[{at}]", (entry,), today, numbered=False)
    ]
    if code in PROMISES:
        found.append(_says("accept", f"{code} speaks of entries of the policy and cannot be accepted"))
    return tuple(found)


def about_name(policy: Policy, asked: str, store_dir: str, today: datetime.date) -> tuple[Says, ...]:
    """Say what the policy does with findings about a store path, another path, or a store path's name."""
    prefix = f"{store_dir}/"
    path = asked if asked.startswith("/") else prefix + asked
    about, base = subject(path, store_dir), path.removeprefix(prefix).partition("/")[0]
    inside = path.startswith(prefix)
    found = [_says("name", f"entries of the policy are held against {about!r}")]
    first = policy.known_unreproducible(about) if inside else None
    found += [
        said if entry is first else _says(said.about, f"{said.text}; an earlier entry counts")
        for at, entry in enumerate(policy.unreproducible)
        if inside and fnmatch.fnmatchcase(about, entry.pattern)
        for said in _entries(f"unreproducible[{at}]", (entry,), today, numbered=False)
    ]
    found += [
        said
        if entry is policy.accepted(entry.code, about)
        else _says(said.about, f"{said.text}; an earlier one counts")
        for at, entry in enumerate(policy.accept)
        if fnmatch.fnmatchcase(about, entry.pattern)
        for said in _entries(f"accept[{at}]", (entry,), today, numbered=False)
    ]
    if inside:
        lists = {"allowed_unlisted": policy.allowed_unlisted, "allowed_extra": policy.allowed_extra}
        found += [
            _says(key, f"{pattern!r} fits: it may lie here, {'registered' if 'un' in key else 'unregistered'}")
            for key, patterns in lists.items()
            for pattern in patterns
            if fnmatch.fnmatchcase(base, pattern)
        ]
        if matches(about, policy.metadata.times):
            found.append(_says("metadata.times", "its time stamps do not count"))
    else:
        found += [
            _says("allowed_upper", f"{pattern!r} fits: it may differ from what was booted")
            for pattern in policy.allowed_upper
            if fnmatch.fnmatchcase(asked, pattern)
        ]
        found += [
            _says(key, f"{pattern!r} fits: it may be there")
            for key in _AROUND
            for pattern in getattr(policy, key)
            if fnmatch.fnmatchcase(asked.removeprefix("/etc/") if key == "allowed_etc" else asked, pattern)
        ]
    if len(found) == 1:
        found.append(
            _says("nothing", "no entry of the policy covers it: findings about it weigh what their codes weigh")
        )
    return tuple(found)


def _says(about: str, text: str) -> Says:
    return Says(about=about, text=text[:_MAX])


def _reach(policy: Policy) -> str:
    names = list(_LEVELS)
    return ", ".join(_LEVELS[name] for name in names[: names.index(policy.level) + 1])


def _freshness(policy: Policy) -> str:
    lag, days = policy.freshness.max_lag, policy.freshness.max_age_days
    return f"at most {lag} newer releases, and metadata verified within the last {days} days"


def _memory(policy: Policy) -> str:
    read, rebuilt = policy.memory.max_read_age_days, policy.memory.max_rebuild_age_days
    return f"what was read counts for at most {read} days, what was rebuilt for at most {rebuilt}"


def _fleet(policy: Policy) -> str:
    if policy.fleet.accept_share:
        return "a node that shares the rebuild with others reaches the level with its own share"
    return "what other nodes of the fleet rebuild does not count here"


def _systems(policy: Policy) -> str:
    if not policy.systems:
        return "any system that the pinned root vouches for may run"
    return f"only systems called {_quoted(policy.systems)} may run, by attribute or name"


def _specialisations(policy: Policy) -> str:
    return f"their specialisations {'may, too' if policy.allow_specialisations else 'may not'}"


def _weight(policy: Policy, code: str) -> str:
    default, here = KINDS[code].severity, policy.severity_of(code)
    source = "the catalogue's" if code not in policy.severity else f"of this policy; the catalogue says {default}"
    effect = "fails the run" if here == "fail" else "is reported, and fails nothing"
    return f"{here} ({source}): {effect}"


def _metadata(policy: Policy) -> str:
    rules = policy.metadata
    parts = []
    if rules.times:
        parts.append(f"time stamps of {_quoted(rules.times)} do not count")
    if rules.groups:
        parts.append(f"groups {', '.join(map(str, rules.groups))} may own entries")
    if rules.attributes:
        parts.append(f"extended attributes called {_quoted(rules.attributes)} may be there")
    return "; ".join(parts) or "nothing is accepted that Nix would not make"


def _listed(patterns: tuple[str, ...], what: str) -> str:
    return f"{what}: {_quoted(patterns)} may be there" if patterns else f"{what}: none may be there"


def _quoted(patterns: Iterable[str]) -> str:
    return ", ".join(map(repr, patterns))


def _rule(policy: Policy, code: str) -> Says | None:
    match code:
        case "EV106" | "EV113":
            return _says("verdict", "without a manifest a run never passes, whatever this weighs")
        case "EV111" | "EV112":
            return _says("freshness", _freshness(policy))
        case "EV116" | "EV117":
            return _says("systems", f"{_systems(policy)}; {_specialisations(policy)}")
        case "EV204" | "EV205" | "EV207":
            return _says("metadata", _metadata(policy))
        case "EV208":
            return _says(
                "allowed_unlisted", _listed(policy.allowed_unlisted, "registered paths that no manifest lists")
            )
        case "EV209":
            return _says("allowed_extra", _listed(policy.allowed_extra, "entries of the store directory without a row"))
        case "EV319":
            return _says("allowed_upper", _listed(policy.allowed_upper, _UPPER))
    for key, (what, codes) in _AROUND.items():
        if code in codes:
            return _says(key, _listed(getattr(policy, key), what))
    return None


def _entries(key: str, entries: Iterable[Promise], today: datetime.date, *, numbered: bool = True) -> Iterable[Says]:
    for at, entry in enumerate(entries):
        code = getattr(entry, "code", "")
        what = f"{code} about {entry.pattern!r}" if code else f"differences of {entry.pattern!r}"
        ends = (
            f"expired on {entry.expires}, so that every run fails" if entry.expired(today) else f"until {entry.expires}"
        )
        link = f" [{entry.link}]" if entry.link else ""
        text = f"{what}: accepted, {ends}; {entry.owner}: {entry.reason}{link}"
        yield _says(f"{key}[{at}]" if numbered else key, text)
