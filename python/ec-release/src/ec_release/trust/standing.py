"""What newest targets metadata say about releases: the newest, the lowest acceptable, and those withdrawn."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ec_closure.errors import UsageError
from ec_release.errors import PublishedMetadataError
from ec_release.trust.roles import FIELD

if TYPE_CHECKING:
    from tuf.api.metadata import Targets


@dataclass(frozen=True)
class Standing:
    """Versions of releases: *latest* is 0 before the first, *min_version* is 0 when all are acceptable."""

    latest: int = 0
    min_version: int = 0
    withdrawn: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the form in which it is signed."""
        return {"latest": self.latest, "min_version": self.min_version, "withdrawn": list(self.withdrawn)}


def standing_of(targets: Targets) -> Standing:
    """Return what *targets* say. Raises `PublishedMetadataError`."""
    try:
        return msgspec.convert(targets.unrecognized_fields.get(FIELD, {}), Standing)
    except msgspec.ValidationError as error:
        raise PublishedMetadataError(str(error), place=f"targets.json: {FIELD}") from error


def versions_of(targets: Targets) -> set[int]:
    """Return every release version that *targets* describe a closure of."""
    return {
        target.custom["version"]
        for target in targets.targets.values()
        if isinstance(target.custom, dict) and isinstance(target.custom.get("version"), int)
    }


def newest_tag(targets: Targets) -> str | None:
    """Return the tag of the newest release, None before the first. Raises `PublishedMetadataError`."""
    latest = standing_of(targets).latest
    tags = {
        name.partition("/")[0]
        for name, target in targets.targets.items()
        if isinstance(target.custom, dict) and target.custom.get("version") == latest
    }
    return min(tags, default=None)


def withdraw(targets: Targets, versions: set[int]) -> Targets | None:
    """Return *targets* with *versions* withdrawn as well, None when they are already. Raises `UsageError`."""
    if not versions:
        raise UsageError("say which versions to withdraw")
    said = standing_of(targets)
    unknown = versions - versions_of(targets)
    if unknown:
        raise UsageError(f"version {min(unknown)} was never published here")
    withdrawn = tuple(sorted(versions.union(said.withdrawn)))
    return _with(targets, Standing(said.latest, said.min_version, withdrawn)) if withdrawn != said.withdrawn else None


def raise_minimum(targets: Targets, version: int) -> Targets | None:
    """Return *targets* with *version* as the lowest acceptable, None when it is already. Raises `UsageError`."""
    said = standing_of(targets)
    if version == said.min_version:
        return None
    if version < said.min_version:
        raise UsageError(
            f"the minimum is {said.min_version} and only grows", hint="nodes that upgraded must not go back"
        )
    if version > said.latest:
        raise UsageError(
            f"the newest release is {said.latest}: every node would fail", hint="publish the release first"
        )
    return _with(targets, Standing(said.latest, version, said.withdrawn))


def _with(targets: Targets, standing: Standing) -> Targets:
    changed = copy.deepcopy(targets)
    changed.unrecognized_fields[FIELD] = standing.to_dict()
    return changed
