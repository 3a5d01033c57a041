"""What one release consists of, checked before anything is written. Reads files, changes nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ec_closure import manifest
from ec_closure.errors import LimitError, UsageError
from ec_release.attesting import check, provenance, seal
from ec_release.attesting.file import MANIFEST_SUFFIX as CLOSURE_SUFFIX
from ec_release.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from ec_release.attesting.seal import Seal

SUMS = "SHA256SUMS"
SUMS_SIGNATURE = SUMS + seal.SUFFIX
_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,199}")
_RESERVED_TAGS = frozenset({"trust"})
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Asset:
    """One file of a release: *data* is held, or else lies in *path*. *custom* is what targets metadata say about it."""

    name: str
    sha256: str
    length: int
    path: Path | None = None
    data: bytes | None = None
    custom: dict[str, Any] | None = None

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes. Raises `AssetError` when the file cannot be read."""
        if self.data is not None:
            yield self.data
        if self.path is not None:
            yield from _read(self.path)


@dataclass(frozen=True)
class Plan:
    """One release: *assets* by name, `SHA256SUMS` among them. *absent* is what it could carry besides, and does not."""

    tag: str
    version: int
    assets: dict[str, Asset]
    absent: tuple[str, ...] = ()

    def subjects(self) -> dict[str, str]:
        """Return what provenance is about: the SHA-256 of each asset but itself, the check-sums and their signature."""
        apart = {SUMS, SUMS_SIGNATURE, provenance.NAME}
        return {name: asset.sha256 for name, asset in self.assets.items() if name not in apart}

    def target(self, asset: Asset) -> str:
        """Return the name of *asset* in targets metadata."""
        return f"{self.tag}/{asset.name}"


def make(tag: str, version: int, assets: Sequence[Path], closures: Sequence[Path], signing: Seal | None = None) -> Plan:
    """Return the plan of release *tag*.

    Each of *closures* must be a whole manifest of this very release; bills of materials and provenance among *assets*
    must fit the rest. With *signing*, the check-sums are signed. Raises `UsageError` (names, version), `AssetError` (a
    file that cannot be read, or contradicts another), `BadInputError` (a malformed one), `SignatureError`.
    """
    _check_release(tag, version)
    if not assets and not closures:
        raise UsageError("there is nothing to publish", hint="give --assets, --closure or both")
    found: dict[str, Asset] = {}
    manifests: dict[str, manifest.Manifest] = {}
    for path in [*assets, *closures]:
        name = path.name
        if not _SEGMENT.fullmatch(name) or name in {SUMS, SUMS_SIGNATURE}:
            raise UsageError(f"{name!r} cannot be the name of an asset", place=str(path))
        if name in found:
            raise UsageError(f"two assets are called {name}", place=str(path))
        if path in closures:
            found[name], manifests[name] = _closure(path, tag, version)
        elif name.endswith(CLOSURE_SUFFIX):
            raise UsageError("is a manifest", place=str(path), hint="give it with --closure, so that nodes find it")
        else:
            found[name] = _measure(path)
    _check_manifests(manifests, found)
    absent = [f"sbom of {system}" for system in check.sboms(manifests, {path.name: path for path in assets})]
    sums = "".join(f"{asset.sha256}  {name}\n" for name, asset in sorted(found.items())).encode()
    found[SUMS] = _held(SUMS, sums)
    if provenance.NAME in found:
        path = next(path for path in assets if path.name == provenance.NAME)
        check.provenance_of(path, manifests, Plan(tag, version, found).subjects(), signing)
    else:
        absent.append("provenance")
    if signing is not None:
        found[SUMS_SIGNATURE] = _held(SUMS_SIGNATURE, signing.sign(sums))
    else:
        absent.append("signature")
    return Plan(tag, version, dict(sorted(found.items())), tuple(absent))


def _held(name: str, data: bytes) -> Asset:
    return Asset(name, hashlib.sha256(data).hexdigest(), len(data), data=data)


def check_tag(tag: str) -> None:
    """Raise `UsageError` unless *tag* can be the tag of a release."""
    if not _SEGMENT.fullmatch(tag) or tag in _RESERVED_TAGS:
        raise UsageError(
            f"{tag!r} cannot be a release tag here", hint="letters, digits and ._+~- only; `trust` is taken"
        )


def _check_release(tag: str, version: int) -> None:
    check_tag(tag)
    if not 1 <= version <= 2**53:
        raise UsageError(f"{version} is no release version", hint="a counter that only grows, from 1")


def _check_manifests(manifests: dict[str, manifest.Manifest], assets: dict[str, Asset]) -> None:
    systems: dict[str, str] = {}
    for name, described in manifests.items():
        other = systems.setdefault(described.system.out_path, name)
        if other != name:
            raise UsageError(f"describes the same system as {other}", place=name, hint="nodes could not tell which")
        _check_artifacts(name, described, assets)


def _closure(path: Path, tag: str, version: int) -> tuple[Asset, manifest.Manifest]:
    data = b"".join(_read(path, manifest.MAX_COMPRESSED))
    described = manifest.decode(data, what=str(path))
    if (described.release.tag, described.release.version) != (tag, version):
        raise UsageError(
            f"describes release {described.release.tag} version {described.release.version}",
            place=str(path),
            hint=f"it must describe {tag} version {version}, which is published",
        )
    custom: dict[str, Any] = {
        "toplevel": described.system.out_path,
        "version": version,
        "system": described.system.name,
    }
    if described.system.specialisations:
        # A node that runs one of them asks for it by its own path.
        custom["specialisations"] = dict(sorted(described.system.specialisations.items()))
    return replace(_held(path.name, data), custom=custom), described


def _check_artifacts(name: str, described: manifest.Manifest, assets: dict[str, Asset]) -> None:
    for artifact in described.artifacts:
        asset = assets.get(artifact.name)
        if asset is None:
            raise AssetError(f"promises {artifact.name}, which is not among the assets", place=name)
        if (asset.sha256, asset.length) != (artifact.sha256, artifact.size):
            raise AssetError(f"describes another {artifact.name} than is published", place=name)


def _measure(path: Path) -> Asset:
    digest = hashlib.sha256()
    length = 0
    for chunk in _read(path):
        digest.update(chunk)
        length += len(chunk)
    return Asset(path.name, digest.hexdigest(), length, path=path)


def _read(path: Path, limit: int | None = None) -> Iterator[bytes]:
    total = 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                total += len(chunk)
                if limit is not None and total > limit:
                    raise LimitError(f"larger than the {limit} bytes that are accepted", place=str(path))
                yield chunk
    except OSError as error:
        raise AssetError(f"cannot be read: {error.strerror}", place=str(path)) from error
