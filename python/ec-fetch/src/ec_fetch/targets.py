"""Targets of closures: what signed metadata say about published manifests, and how one is found. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ec_closure.decoding import excerpt
from ec_closure.record import Count, Sha256, StorePathText, Text
from ec_fetch.errors import MetadataError, NoTargetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tuf.api.metadata import TargetFile, Targets

FIELD = "x-ec-runner"
"""The key under which signed metadata carry what is ours."""

MAX_CLOSURE = 64 << 20
_SEGMENT = r"[A-Za-z0-9][A-Za-z0-9._+~-]*"
_NAME = re.compile(rf"({_SEGMENT})/({_SEGMENT})")


@dataclass(frozen=True)
class ClosureTarget:
    """The published manifest of one system. *name* is ``<tag>/<asset>``; *length* in bytes, *sha256* in hexadecimal.

    *specialisations* are other systems that it describes, since they are part of this one.
    """

    name: str
    tag: str
    version: int
    toplevel: str
    system: str
    sha256: str
    length: int
    specialisations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asset:
    """Any published file. *name* is ``<tag>/<asset>``; *length* in bytes, *sha256* in hexadecimal."""

    name: str
    tag: str
    asset: str
    sha256: str
    length: int


class _Custom(msgspec.Struct, frozen=True):
    """`custom` of a closure target. Unknown fields are left to later versions."""

    toplevel: StorePathText
    version: Count
    system: Text
    specialisations: dict[str, StorePathText] = {}


class Standing(msgspec.Struct, frozen=True):
    """What newest targets metadata say about releases: the newest, the lowest acceptable, and those withdrawn."""

    latest: Count = 0
    min_version: Count = 0
    withdrawn: tuple[Count, ...] = ()


class _Length(msgspec.Struct, frozen=True):
    length: Count
    sha256: Sha256


def closures(targets: Targets) -> list[ClosureTarget]:
    """Return every closure that *targets* describe. Raises `MetadataError` for one that is described wrongly."""
    return [
        _closure(name, target)
        for name, target in sorted(targets.targets.items())
        if isinstance(target.custom, dict) and "toplevel" in target.custom
    ]


def assets(targets: Mapping[str, TargetFile]) -> list[Asset]:
    """Return every published file that *targets* describe, by name. Raises `MetadataError` for one without its form."""
    found = []
    for name, target in sorted(targets.items()):
        sha256 = sha256_of(name, target)  # looks at the name, too
        tag, _, asset = name.partition("/")
        found.append(Asset(name, tag, asset, sha256, target.length))
    return found


def standing(targets: Targets, known: Iterable[ClosureTarget]) -> Standing:
    """Return what *targets* say about releases; *latest* is at least the newest of the *known* closures."""
    raw: Mapping[str, Any] = targets.unrecognized_fields.get(FIELD, {})
    try:
        said = msgspec.convert(raw, Standing)
    except msgspec.ValidationError as error:
        raise MetadataError(excerpt(str(error)), place=f"targets.json: {FIELD}") from error
    newest = max((closure.version for closure in known), default=0)
    return Standing(max(said.latest, newest), said.min_version, tuple(sorted(set(said.withdrawn))))


def choose(known: Iterable[ClosureTarget], toplevel: str) -> ClosureTarget:
    """Return the closure of *toplevel* with the highest release version.

    A system's own manifest goes before one that knows it as a specialisation. Raises `NoTargetError`, or
    `MetadataError` when two of that version disagree about the bytes.
    """
    known = list(known)
    matching = [closure for closure in known if closure.toplevel == toplevel]
    if not matching:
        matching = [closure for closure in known if toplevel in closure.specialisations]
    if not matching:
        raise NoTargetError(
            "no signed manifest describes this system",
            place=toplevel,
            hint="it was never published, or was published for another trust root",
        )
    newest = max(closure.version for closure in matching)
    best = [closure for closure in matching if closure.version == newest]
    if len({(closure.sha256, closure.length, closure.system) for closure in best}) != 1:
        names = excerpt(", ".join(closure.name for closure in best))
        raise MetadataError(f"release {newest} has two different manifests for it: {names}", place=toplevel)
    return best[0]


def sha256_of(name: str, target: TargetFile) -> str:
    """Return the signed SHA-256 of *target* after checking that *name*, length and hash have their form."""
    if not _NAME.fullmatch(name):
        raise MetadataError("a target's name is <tag>/<asset>, letters, digits and ._+~- only", place=name[:200])
    try:
        found = msgspec.convert({"length": target.length, "sha256": target.hashes.get("sha256")}, _Length)
    except msgspec.ValidationError as error:
        raise MetadataError(excerpt(str(error)), place=excerpt(name)) from error
    return found.sha256


def _closure(name: str, target: TargetFile) -> ClosureTarget:
    sha256 = sha256_of(name, target)
    try:
        custom = msgspec.convert(target.custom, _Custom)
    except msgspec.ValidationError as error:
        raise MetadataError(excerpt(str(error)), place=f"{excerpt(name)}: custom") from error
    if target.length > MAX_CLOSURE:
        raise MetadataError(f"{target.length} bytes where at most {MAX_CLOSURE} are accepted", place=excerpt(name))
    return ClosureTarget(
        name=name,
        tag=name.partition("/")[0],
        version=custom.version,
        toplevel=custom.toplevel,
        system=custom.system,
        sha256=sha256,
        length=target.length,
        specialisations=tuple(sorted(custom.specialisations.values())),
    )
