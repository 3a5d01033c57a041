"""The policy: what an operator accepts, `policy.toml`. Its digest stands in every report."""

from __future__ import annotations

import datetime
import fnmatch
from typing import Annotated, Literal

import msgspec

from ec_closure.decoding import excerpt, explain
from ec_closure.errors import BadInputError, LimitError
from ec_closure.findings import KINDS, Severity
from ec_closure.record import Line, Record
from ec_closure.signing import KeyFormatError, Keyring

MAX_BYTES = 1 << 20

Level = Literal["bytes", "source", "rebuild", "full"]
LEVELS: tuple[Level, ...] = ("bytes", "source", "rebuild", "full")


class PolicyError(BadInputError):
    """The policy is not valid."""

    code = "policy"


class PolicyRecord(Record, frozen=True, kw_only=True, rename=None):
    """A table of the policy; TOML keys are written with underscores."""


class Unreproducible(PolicyRecord, frozen=True, kw_only=True):
    """One entry of the register of known unreproducible paths.

    *pattern* is a shell pattern on the store path's name (what follows the hash). *owner* is a
    role. An entry past *expires* fails: known differences are promises to look again.
    """

    pattern: Line
    owner: Line
    reason: Line
    expires: datetime.date
    link: Line | None = None


class Freshness(PolicyRecord, frozen=True, kw_only=True):
    """How far behind a node may be. *max_lag* counts releases, *max_age_days* the age of verified metadata."""

    max_lag: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10
    max_age_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 14


class Policy(PolicyRecord, frozen=True, kw_only=True):
    """What an operator accepts.

    *level* is the level that a run must reach. *severity* overrides the default of finding codes.
    *allowed_unlisted* and *allowed_extra* are shell patterns on base names of store paths;
    *allowed_upper* on paths in the root overlay's upper layer. *cache_keys* are Nix public keys
    whose signature makes a build input trustworthy that no manifest lists.
    """

    schema: Literal["ec-runner.policy.v1"] = "ec-runner.policy.v1"
    level: Level = "source"
    severity: dict[str, Severity] = {}
    freshness: Freshness = Freshness()
    allowed_unlisted: tuple[Line, ...] = ()
    allowed_extra: tuple[Line, ...] = ()
    allowed_upper: tuple[Line, ...] = ()
    cache_keys: tuple[Line, ...] = ()
    unreproducible: tuple[Unreproducible, ...] = ()

    def severity_of(self, code: str) -> Severity:
        """Return how much a finding of *code* weighs."""
        return self.severity.get(code, KINDS[code].severity)

    def known_unreproducible(self, name: str) -> Unreproducible | None:
        """Return the register's first entry for a store path's *name*, expired or not."""
        return next((entry for entry in self.unreproducible if fnmatch.fnmatchcase(name, entry.pattern)), None)


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
    try:
        policy = msgspec.toml.decode(data, type=Policy)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message, place = explain(error, what)
        raise PolicyError(message, place=place, hint="docs/policy.md lists every key") from error
    except RecursionError:
        raise PolicyError("nested too deep", place=what) from None
    for code in policy.severity:
        if code not in KINDS:
            raise PolicyError(
                f"no finding has the code {excerpt(code)!r}",
                place=f"{what}: severity",
                hint="docs/findings.md lists every code",
            )
    try:
        Keyring.parse(policy.cache_keys)
    except KeyFormatError as error:
        raise PolicyError(error.message, place=f"{what}: cache_keys", hint=error.hint) from error
    return policy
