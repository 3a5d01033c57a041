"""From a published or a local archive to a directory among the releases: verified, unpacked, compared."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure import files, manifest
from ec_closure.manifest_rules import ManifestError
from ec_netboot.config import read_file
from ec_netboot.errors import ConfigError, ImageError, StateError
from ec_netboot.release import Release
from ec_netboot.script import parse
from ec_netboot.staging.archive import SCRIPT, unpack
from ec_netboot.staging.compare import compare
from ec_netboot.state import told

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Literal

    from ec_closure.manifest import Manifest
    from ec_fetch.client import TrustClient
    from ec_netboot.release import Platform
    from ec_netboot.staging.choose import Candidate
    from ec_netboot.state import State

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Tarball:
    """An archive of the operator's, believed by its digest alone."""

    path: Path
    sha256: str


@dataclass(frozen=True)
class _Archive:
    """A verified archive in *file*, and what is known about it besides its contents. See `Release`."""

    file: Path
    platform: Platform
    source: Literal["signed", "unsigned"]
    tag: str
    version: int
    asset: str
    sha256: str
    manifest: str | None


def receive_signed(state: State, client: TrustClient, chosen: Candidate, platform: Platform, made: int) -> str:
    """Download *chosen* and put it among the releases; return its name there. Hold the lock.

    Raises what downloads raise, `ManifestError`, and what `_unpack` raises.
    """
    described = _manifest(client, chosen)
    asset = chosen.asset
    _check_room(state, asset.length)
    file = state.incoming / asset.asset
    client.download_to(asset.name, file)
    name = None if chosen.manifest is None else chosen.manifest.name
    archive = _Archive(file, platform, "signed", chosen.tag, chosen.version, asset.asset, asset.sha256, name)
    return _unpack(state, archive, described, made)


def receive_local(state: State, tarball: Tarball, platform: Platform, made: int) -> str:
    """Copy *tarball*, compare its digest, and put it among the releases; return its name there. Hold the lock.

    What is hashed is the copy that is unpacked, whoever writes to the original meanwhile. Raises `ConfigError` when it
    cannot be read, `ImageError` when it has another digest, and what `_unpack` raises.
    """
    file = state.incoming / "local.tar.zst"
    digest = hashlib.sha256()
    try:
        source = files.open_regular(tarball.path.resolve())
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", place=str(tarball.path)) from error
    with source:
        _check_room(state, os.fstat(source.fileno()).st_size)
        with told(file), file.open("xb") as copy:
            while piece := source.read(_CHUNK):
                digest.update(piece)
                copy.write(piece)
    if digest.hexdigest() != tarball.sha256:
        raise ImageError(
            f"has the SHA-256 {digest.hexdigest()}, not the one that was given",
            place=str(tarball.path),
            hint="it is another archive, or it was changed; ask whoever made it",
        )
    archive = _Archive(file, platform, "unsigned", "local", 0, tarball.path.name, tarball.sha256, None)
    return _unpack(state, archive, None, made)


def _manifest(client: TrustClient, chosen: Candidate) -> Manifest | None:
    if chosen.manifest is None:
        return None
    found = manifest.decode(client.download(chosen.manifest), what=chosen.manifest.name)
    if (found.system.out_path, found.release.version) != (chosen.manifest.toplevel, chosen.version):
        raise ManifestError("describes another system or release than its metadata say", place=chosen.manifest.name)
    return found


def _unpack(state: State, archive: _Archive, described: Manifest | None, made: int) -> str:
    """Unpack a verified *archive*, compare it with its manifest, and put it among the releases; return its name.

    Raises `ArchiveError`, `ScriptError`, `ImageError`, `StateError`.
    """
    image = state.incoming / "image"
    with told(image):
        if image.exists():  # what was refused before, of another platform
            shutil.rmtree(image)
        image.mkdir(mode=0o755)
        with archive.file.open("rb") as stream:
            found = unpack(stream, image, what=archive.asset)
        archive.file.unlink()
    script = parse(read_file(image / SCRIPT), what=f"{archive.asset}: {SCRIPT}")
    if described is not None:
        compare(described, script, found, image, asset=archive.asset, archive=archive.sha256)
    release = Release(
        platform=archive.platform,
        source=archive.source,
        tag=archive.tag,
        version=archive.version,
        asset=archive.asset,
        archive=archive.sha256,
        files=found,
        arguments=script.arguments,
        toplevel=script.toplevel,
        manifest=archive.manifest,
        staged=made,
    )
    return state.add(image, release)


def _check_room(state: State, size: int) -> None:
    with told(state.incoming):
        free = shutil.disk_usage(state.incoming).free
    if free < 2 * size:
        raise StateError(
            f"{free >> 20} MiB are free where twice the archive, {2 * size >> 20} MiB, is needed",
            place=str(state.incoming),
            hint="make room; what was served before is still served",
        )
