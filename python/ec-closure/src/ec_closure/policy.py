"""The policy: what an operator accepts, `policy.toml`. Its digest stands in every report."""

from __future__ import annotations

import datetime
import fnmatch
import re
from typing import Annotated, Literal

import msgspec

from ec_closure import config_file
from ec_closure.decoding import excerpt
from ec_closure.errors import BadInputError, LimitError
from ec_closure.findings import KINDS, Severity
from ec_closure.record import Line, Record
from ec_closure.signing import KeyFormatError, Keyring

MAX_BYTES = 1 << 20
SOON = datetime.timedelta(days=14)
PROMISES = frozenset({"EV504", "EV910", "EV911", "EV912"})
"""What is said of entries of the policy itself. None of it can be accepted, or no promise would ever end."""

_BASE_NAME = re.compile(r"[0-9a-df-np-sv-z]{32}-.+", re.DOTALL)
_HASH_LENGTH = 33  # with the dash
_BRACKET = re.compile(r"\[!?+\]?+[^\]]*+\]|\[")

Level = Literal["bytes", "source", "rebuild", "full"]
LEVELS: tuple[Level, ...] = ("bytes", "source", "rebuild", "full")


class PolicyError(BadInputError):
    """The policy is not valid."""

    code = "policy"


class PolicyRecord(Record, frozen=True, kw_only=True, rename=None):
    """A table of the policy; TOML keys are written with underscores."""


class Promise(PolicyRecord, frozen=True, kw_only=True):
    """What is accepted until somebody has looked again. *owner* is a role; *expires* is the last day that counts.

    Days are those of UTC. An entry past its day fails every run, whether it covers anything or not.
    """

    pattern: Line
    owner: Line
    reason: Line
    expires: datetime.date
    link: Line | None = None

    def expired(self, today: datetime.date) -> bool:
        """Tell whether the last day is over."""
        return self.expires < today

    def expires_soon(self, today: datetime.date) -> bool:
        """Tell whether the last day comes within `SOON`, and is not over."""
        return today <= self.expires <= today + SOON


class Unreproducible(Promise, frozen=True, kw_only=True):
    """One entry of the register of known unreproducible paths.

    *pattern* is a shell pattern on the store path's name (what follows the hash). *owner* is a
    role. An entry past *expires* fails: known differences are promises to look again.
    """


class Accepted(Promise, frozen=True, kw_only=True):
    """A finding that is known and tolerated for a while: it becomes `info`, and says so.

    *pattern* is a shell pattern on what the finding speaks of (`subject`). Findings without a path are covered by
    patterns of stars alone.
    """

    code: Line


class Metadata(PolicyRecord, frozen=True, kw_only=True):
    """What Nix would not make, and is no sign of anything here.

    *times* are shell patterns on names of store paths whose time stamps say nothing (a file system that cannot hold
    them); *groups* are ids that may own entries; *attributes* are shell patterns on names of extended attributes.
    Modes and set-ID bits have no rule: they are accepted one by one, with a reason and an end.
    """

    times: tuple[Line, ...] = ()
    groups: tuple[Annotated[int, msgspec.Meta(ge=0, le=2**32 - 2)], ...] = ()
    attributes: tuple[Line, ...] = ()


class Freshness(PolicyRecord, frozen=True, kw_only=True):
    """How far behind a node may be. *max_lag* counts releases, *max_age_days* the age of verified metadata."""

    max_lag: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10
    max_age_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 14


class Memory(PolicyRecord, frozen=True, kw_only=True):
    """How long what a node saw itself may count again: since a path was read, and since it was rebuilt."""

    max_read_age_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 30
    max_rebuild_age_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 30


class Fleet(PolicyRecord, frozen=True, kw_only=True):
    """What nodes may leave to one another. With *accept_share* a node's own share is enough for its level."""

    accept_share: bool = False


NO_RULES = Metadata()


class Policy(PolicyRecord, frozen=True, kw_only=True):
    """What an operator accepts.

    *level* is the level that a run must reach. *severity* overrides the default of finding codes.
    *allowed_unlisted* and *allowed_extra* are shell patterns on base names of store paths; *allowed_upper* on paths
    in the root overlay's upper layer; the other lists on files of boot directories, words of the kernel's command
    line, names below /etc, unit files, executed files, and kernel modules. *cache_keys* are Nix public keys whose
    signature makes a build input trustworthy that no manifest lists. *systems* are shell patterns on the attribute
    or the name of the signed systems that may run here; empty for any.
    """

    schema: Literal["ec-runner.policy.v1"] = "ec-runner.policy.v1"
    level: Level = "source"
    severity: dict[str, Severity] = {}
    freshness: Freshness = Freshness()
    memory: Memory = Memory()
    fleet: Fleet = Fleet()
    systems: tuple[Line, ...] = ()
    allow_specialisations: bool = True
    metadata: Metadata = Metadata()
    allowed_unlisted: tuple[Line, ...] = ()
    allowed_extra: tuple[Line, ...] = ()
    allowed_upper: tuple[Line, ...] = ()
    allowed_boot: tuple[Line, ...] = ()
    allowed_parameters: tuple[Line, ...] = ()
    allowed_etc: tuple[Line, ...] = ()
    allowed_units: tuple[Line, ...] = ()
    allowed_processes: tuple[Line, ...] = ()
    allowed_modules: tuple[Line, ...] = ()
    cache_keys: tuple[Line, ...] = ()
    unreproducible: tuple[Unreproducible, ...] = ()
    accept: tuple[Accepted, ...] = ()

    def severity_of(self, code: str) -> Severity:
        """Return how much a finding of *code* weighs."""
        return self.severity.get(code, KINDS[code].severity)

    def known_unreproducible(self, name: str) -> Unreproducible | None:
        """Return the register's first entry for a store path's *name*, expired or not."""
        return next((entry for entry in self.unreproducible if fnmatch.fnmatchcase(name, entry.pattern)), None)

    def accepted(self, code: str, about: str) -> Accepted | None:
        """Return the first acceptance of findings of *code* about a `subject`, expired or not."""
        fitting = (entry for entry in self.accept if entry.code == code and fnmatch.fnmatchcase(about, entry.pattern))
        return next(fitting, None)

    def patterns(self) -> list[tuple[str, str]]:
        """Return every shell pattern with the place where it stands."""
        lists = {
            "systems": self.systems,
            "metadata.times": self.metadata.times,
            "metadata.attributes": self.metadata.attributes,
            "allowed_unlisted": self.allowed_unlisted,
            "allowed_extra": self.allowed_extra,
            "allowed_upper": self.allowed_upper,
            "allowed_boot": self.allowed_boot,
            "allowed_parameters": self.allowed_parameters,
            "allowed_etc": self.allowed_etc,
            "allowed_units": self.allowed_units,
            "allowed_processes": self.allowed_processes,
            "allowed_modules": self.allowed_modules,
        }
        found = [(f"{key}[{at}]", pattern) for key, patterns in lists.items() for at, pattern in enumerate(patterns)]
        found += [(f"unreproducible[{at}].pattern", entry.pattern) for at, entry in enumerate(self.unreproducible)]
        return [*found, *((f"accept[{at}].pattern", entry.pattern) for at, entry in enumerate(self.accept))]

    def allows_system(self, attr: str, name: str) -> bool:
        """Tell whether a signed system may run here."""
        return not self.systems or matches(attr, self.systems) or matches(name, self.systems)


def today(time: int) -> datetime.date:
    """Return the day (of UTC) of *time*, seconds since 1970."""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).date()


def subject(path: str | None, store_dir: str) -> str:
    """Return what patterns of acceptances are held against: a store path's name, without hash and what lies inside.

    Any other path stands for itself, and the empty text for none. A name in the store directory that is not a store
    path's stands for itself, too.
    """
    if path is None or not path.startswith(f"{store_dir}/"):
        return path or ""
    base = path[len(store_dir) + 1 :].partition("/")[0]
    return base[_HASH_LENGTH:] if _BASE_NAME.fullmatch(base) else base


def matches(base_name: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether one of the shell *patterns* covers *base_name*."""
    return any(fnmatch.fnmatchcase(base_name, pattern) for pattern in patterns)


def decode(data: bytes, *, what: str = "policy.toml") -> Policy:
    """Decode a policy. Unknown keys and codes are errors.

    Raises `PolicyError` with its place, `LimitError` above `MAX_BYTES`. Entries of the register
    that have expired are not errors here: the judge, who has a clock, makes findings of them.
    """
    if len(data) > MAX_BYTES:
        raise LimitError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    policy = config_file.decode(data, Policy, what=what, error=PolicyError, hint="docs/policy.md lists every key")
    _check(policy, what)
    return policy


def _check(policy: Policy, what: str) -> None:
    """Check what the types cannot say. Raises `PolicyError` with its place."""
    codes = [(code, "severity") for code in policy.severity]
    codes += [(entry.code, f"accept[{at}].code") for at, entry in enumerate(policy.accept)]
    for code, place in codes:
        if code not in KINDS:
            raise PolicyError(
                f"no finding has the code {excerpt(code)!r}",
                place=f"{what}: {place}",
                hint="docs/findings.md lists every code",
            )
    for at, entry in enumerate(policy.accept):
        if entry.code in PROMISES:
            raise PolicyError(
                f"{entry.code} speaks of entries of this file and cannot be accepted",
                place=f"{what}: accept[{at}].code",
                hint="renew or remove the entry that it speaks of",
            )
    for place, pattern in policy.patterns():
        if "[" in _BRACKET.findall(pattern):
            raise PolicyError(
                f"the pattern {excerpt(pattern)!r} has a bracket that is not closed",
                place=f"{what}: {place}",
                hint="write [abc] for one of these characters, and [[] for a bracket",
            )
    try:
        Keyring.parse(policy.cache_keys)
    except KeyFormatError as error:
        raise PolicyError(error.message, place=f"{what}: cache_keys", hint=error.hint) from error
