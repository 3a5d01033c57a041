"""The first keys and the first metadata of a repository."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuf.api.metadata import Metadata, Root, Targets
from tuf.api.metadata import Role as RoleKeys

from ec_closure import files
from ec_closure.errors import UsageError
from ec_release.errors import ConflictError
from ec_release.trust import keys
from ec_release.trust.published import next_version, parse
from ec_release.trust.roles import FIELD, ONLINE, Role
from ec_release.trust.signing import require, sign
from ec_release.trust.standing import Standing
from ec_release.trust.update import Signing, describe, new_snapshot, new_timestamp

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from securesystemslib.signer import CryptoSigner

    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.trust.roles import Periods

PINNED = "root.json"
"""The public first root beside the keys: what CI pins, and what images pin."""


@dataclass(frozen=True)
class Initialised:
    """What was made: files of keys that must leave this machine, files that stay in CI, and the root to pin."""

    offline: tuple[Path, ...]
    online: tuple[Path, ...]
    root: Path


def initialise(
    backend: ReleaseBackend, directory: Path, *, root_keys: int, root_threshold: int, time: datetime, periods: Periods
) -> Initialised:
    """Make keys in *directory* and publish version 1 of all metadata, signed.

    An interrupted run is continued with the keys it made. Raises `UsageError` when the repository exists already.
    """
    if not 1 <= root_threshold <= root_keys:
        raise UsageError(f"a threshold of {root_threshold} cannot be met by {root_keys} keys")
    with backend.locked():
        if "timestamp.json" in backend.metadata_names():
            raise UsageError("this repository is initialised already", hint="`ec-release trust rotate` replaces keys")
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        names: dict[Role, list[str]] = {"root": [f"OFFLINE-root-{number + 1}.pem" for number in range(root_keys)]}
        names |= {role: [f"{role}-1.pem"] for role in ONLINE}
        ring = keys.KeyRing()
        made = {role: [_key(directory / name, ring) for name in files] for role, files in names.items()}
        signing = Signing(ring, time, periods)
        root = _first_root(backend, made, root_threshold, signing)
        pinned = directory / PINNED
        _keep(pinned, root.to_bytes())
        _publish_first(backend, root, signing)
    return Initialised(
        offline=tuple(directory / name for name in names["root"]),
        online=tuple(directory / name for role in ONLINE for name in names[role]),
        root=pinned,
    )


def _key(path: Path, ring: keys.KeyRing) -> CryptoSigner:
    signer = keys.load_private(path) if path.exists() else keys.generate(path)
    ring.add(signer, path)
    return signer


def _first_root(
    backend: ReleaseBackend, made: dict[Role, list[CryptoSigner]], threshold: int, signing: Signing
) -> Metadata[Root]:
    roles = {
        role: RoleKeys([signer.public_key.keyid for signer in signers], threshold if role == "root" else 1)
        for role, signers in made.items()
    }
    if "1.root.json" in backend.metadata_names():
        found = parse(backend.read_metadata("1.root.json"), "root", "1.root.json")
        if found.signed.roles != roles:
            raise ConflictError(
                "1.root.json was published with other keys", hint="use the directory of keys that belongs to it"
            )
        return require(found, "root", found.signed)
    root = Root(
        version=1,
        expires=signing.periods.expiry("root", signing.time),
        keys={signer.public_key.keyid: signer.public_key for signers in made.values() for signer in signers},
        roles={str(role): keyids for role, keyids in roles.items()},
        consistent_snapshot=True,
    )
    return require(sign(root, "root", [root], signing.ring), "root", root)


def _publish_first(backend: ReleaseBackend, root: Metadata[Root], signing: Signing) -> None:
    roots = [root.signed]
    backend.add_metadata("1.root.json", root.to_bytes())
    targets = Targets(
        version=next_version(backend, "targets"),
        expires=signing.periods.expiry("targets", signing.time),
        unrecognized_fields={FIELD: Standing().to_dict()},
    )
    data = require(sign(targets, "targets", roots, signing.ring), "targets", root.signed).to_bytes()
    backend.add_metadata(f"{targets.version}.targets.json", data)
    version = next_version(backend, "snapshot")
    data = new_snapshot(version, describe(data, targets.version), roots, signing).to_bytes()
    backend.add_metadata(f"{version}.snapshot.json", data)
    backend.replace_timestamp(new_timestamp(1, describe(data, version), roots, signing).to_bytes())


def _keep(path: Path, data: bytes) -> None:
    with files.replacing(path, mode=0o644) as file:
        file.write(data)
