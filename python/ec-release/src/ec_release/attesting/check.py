"""What a release says about itself, held against what is in it before anything is published. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.errors import UsageError
from ec_release.attesting import cyclonedx, file, provenance, sbom
from ec_release.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from ec_closure.manifest import Manifest
    from ec_release.attesting.seal import Seal

KINDS = ("sbom", "provenance", "signature")
"""What a release may carry besides its files and their metadata."""


def sboms(manifests: Mapping[str, Manifest], paths: Mapping[str, Path]) -> tuple[str, ...]:
    """Return the systems that have no bill of materials among the assets *paths*, by the names of their *manifests*.

    Raises `AssetError` for one that belongs to no manifest of this release, or to another; `BadInputError`.
    """
    systems = {name.removesuffix(file.MANIFEST_SUFFIX): described for name, described in manifests.items()}
    found = {name.removesuffix(cyclonedx.SUFFIX): name for name in paths if name.endswith(cyclonedx.SUFFIX)}
    for system, name in sorted(found.items()):
        if system not in systems:
            raise AssetError(
                "belongs to no manifest of this release", place=name, hint=f"is there a manifest {system}?"
            )
        bom = cyclonedx.decode(file.read(paths[name], cyclonedx.MAX_BYTES), what=name)
        sbom.compare(bom, systems[system], what=name)
    return tuple(sorted(systems.keys() - found.keys()))


def provenance_of(path: Path, manifests: Mapping[str, Manifest], digests: Mapping[str, str], seal: Seal | None) -> None:
    """Raise unless the envelope *path* verifies and is about *digests*, the SHA-256 of each asset, and *manifests*.

    Raises `SignatureError`, `AssetError`, `BadInputError`; `UsageError` without a *seal*.
    """
    if seal is None:
        raise UsageError("cannot be verified without the keys of the targets role", place=path.name)
    data = file.read(path, provenance.MAX_BYTES)
    statement = provenance.verify(data, seal.keys, seal.threshold, what=path.name)
    provenance.compare(statement, tuple(manifests.values()), digests, what=path.name)


def required(kinds: Collection[str], absent: Collection[str]) -> None:
    """Raise `UsageError` when something of one of *kinds* is *absent*, in the words of `Plan.absent`."""
    for kind in kinds:
        missing = [one for one in absent if one.partition(" ")[0] == kind]
        if missing:
            raise UsageError(
                f"lacks {', '.join(missing)}, which --require asks for",
                hint="ec-release sbom and ec-release provenance make them; give them with --assets",
            )
