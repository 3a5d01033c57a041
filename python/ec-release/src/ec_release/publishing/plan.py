"""What one release consists of, checked before anything is written. Reads files, changes nothing."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ec_closure import manifest
from ec_closure.errors import LimitError, UsageError
from ec_release.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SUMS = "SHA256SUMS"
CLOSURE_SUFFIX = ".closure.json.zst"
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
    """One release: *assets* by name, `SHA256SUMS` among them."""

    tag: str
    version: int
    assets: dict[str, Asset]

    def target(self, asset: Asset) -> str:
        """Return the name of *asset* in targets metadata."""
        return f"{self.tag}/{asset.name}"


def make(tag: str, version: int, assets: Sequence[Path], closures: Sequence[Path]) -> Plan:
    """Return the plan of release *tag*.

    Each of *closures* must be a whole manifest of this very release. Raises `UsageError` (names, version),
    `AssetError` (a file that cannot be read, or contradicts a manifest), `BadInputError` (a malformed manifest).
    """
    _check_release(tag, version)
    if not assets and not closures:
        raise UsageError("there is nothing to publish", hint="give --assets, --closure or both")
    found: dict[str, Asset] = {}
    manifests: dict[str, manifest.Manifest] = {}
    for path in [*assets, *closures]:
        name = path.name
        if not _SEGMENT.fullmatch(name) or name == SUMS:
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
    sums = "".join(f"{asset.sha256}  {name}\n" for name, asset in sorted(found.items())).encode()
    found[SUMS] = Asset(SUMS, hashlib.sha256(sums).hexdigest(), len(sums), data=sums)
    return Plan(tag, version, dict(sorted(found.items())))


def _check_release(tag: str, version: int) -> None:
    if not _SEGMENT.fullmatch(tag) or tag in _RESERVED_TAGS:
        raise UsageError(
            f"{tag!r} cannot be a release tag here", hint="letters, digits and ._+~- only; `trust` is taken"
        )
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
    return Asset(path.name, hashlib.sha256(data).hexdigest(), len(data), data=data, custom=custom), described


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
