"""Write new metadata in the order in which readers stay served: targets, snapshot, timestamp last."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from ec_release.trust.published import next_version
from ec_release.trust.roles import FIELD, ONLINE, Periods, Role
from ec_release.trust.signing import require, require_keys, sign, verify

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.trust.keys import KeyRing
    from ec_release.trust.published import Published


@dataclass(frozen=True)
class Versions:
    """Version numbers of the metadata that readers see now."""

    root: int
    targets: int
    snapshot: int
    timestamp: int


@dataclass(frozen=True)
class Signing:
    """With what, when and for how long is signed."""

    ring: KeyRing
    time: datetime
    periods: Periods


@dataclass(frozen=True)
class _Change:
    """Signed files that are not written yet; *old_accepts*: whether readers of the old root accept all of them."""

    numbered: dict[str, bytes]
    timestamp: bytes | None
    versions: Versions
    old_accepts: bool


def current(published: Published) -> Versions:
    """Return the versions of *published*."""
    return Versions(
        published.root.signed.version,
        published.targets.signed.version,
        published.snapshot.signed.version,
        published.timestamp.signed.version,
    )


def write(
    backend: ReleaseBackend,
    published: Published,
    signing: Signing,
    *,
    targets: Targets | None = None,
    resign: Collection[Role] = (),
    root: Metadata[Root] | None = None,
) -> Versions:
    """Sign and publish what changed, and all that refers to it.

    *targets* is new content, *resign* names roles to sign anew without one, *root* is a complete new root. Nothing is
    written before everything is signed. Interrupted anywhere, readers see the old state or the new one.
    """
    new = root or published.root
    change = _prepare(backend, published, signing, targets=targets, resign=resign, root=new.signed)
    for name, data in change.numbered.items():
        backend.add_metadata(name, data)
    # Readers who hold the old root must accept the new timestamp for as long as they cannot see the new root. Where the
    # old keys are at hand both sign, and the root comes last; where they are lost or stolen, the root comes first.
    if not change.old_accepts:
        backend.add_metadata(f"{new.signed.version}.root.json", new.to_bytes())
    if change.timestamp is not None:
        backend.replace_timestamp(change.timestamp)
    if change.old_accepts and root is not None:
        backend.add_metadata(f"{new.signed.version}.root.json", new.to_bytes())
    return change.versions


def _prepare(
    backend: ReleaseBackend,
    published: Published,
    signing: Signing,
    *,
    targets: Targets | None,
    resign: Collection[Role],
    root: Root,
) -> _Change:
    old = published.root.signed
    roots = [root] if root is old else [root, old]
    stale: set[Role] = set(resign) | ({"targets"} if targets is not None else set())
    # What refers to a changed file changes with it.
    roles = [role for position, role in enumerate(ONLINE) if stale & set(ONLINE[: position + 1])]
    require_keys(roles, root, signing.ring)
    numbered: dict[str, bytes] = {}

    new_targets = published.targets
    targets_meta = published.snapshot.signed.meta["targets.json"]
    if "targets" in roles:
        version = next_version(backend, "targets")
        new_targets = _targets(targets or published.targets.signed, version, roots, signing)
        numbered[f"{version}.targets.json"] = new_targets.to_bytes()
        targets_meta = describe(numbered[f"{version}.targets.json"], version)

    snapshot = published.snapshot
    snapshot_meta = published.timestamp.signed.snapshot_meta
    if "snapshot" in roles:
        version = next_version(backend, "snapshot")
        snapshot = new_snapshot(version, targets_meta, roots, signing)
        numbered[f"{version}.snapshot.json"] = snapshot.to_bytes()
        snapshot_meta = describe(numbered[f"{version}.snapshot.json"], version)

    timestamp = published.timestamp
    if "timestamp" in roles:
        timestamp = new_timestamp(published.timestamp.signed.version + 1, snapshot_meta, roots, signing)
    return _Change(
        numbered=numbered,
        timestamp=timestamp.to_bytes() if "timestamp" in roles else None,
        versions=Versions(root.version, targets_meta.version, snapshot_meta.version, timestamp.signed.version),
        old_accepts=all(
            (
                verify(new_targets, "targets", old),
                verify(snapshot, "snapshot", old),
                verify(timestamp, "timestamp", old),
            )
        ),
    )


def _targets(body: Targets, version: int, roots: list[Root], signing: Signing) -> Metadata[Targets]:
    changed = copy.deepcopy(body)
    changed.version = version
    changed.expires = signing.periods.expiry("targets", signing.time)
    return require(sign(changed, "targets", roots, signing.ring), "targets", roots[0])


def new_snapshot(version: int, targets: MetaFile, roots: list[Root], signing: Signing) -> Metadata[Snapshot]:
    """Return a signed snapshot that lists *targets*; signed for all of *roots*, complete for the first."""
    body = Snapshot(
        version=version, expires=signing.periods.expiry("snapshot", signing.time), meta={"targets.json": targets}
    )
    return require(sign(body, "snapshot", roots, signing.ring), "snapshot", roots[0])


def new_timestamp(version: int, snapshot: MetaFile, roots: list[Root], signing: Signing) -> Metadata[Timestamp]:
    """Return a signed timestamp that also says when it was issued, so that readers can tell its age."""
    body = Timestamp(
        version=version,
        expires=signing.periods.expiry("timestamp", signing.time),
        snapshot_meta=snapshot,
        unrecognized_fields={FIELD: {"issued": int(signing.time.timestamp())}},
    )
    return require(sign(body, "timestamp", roots, signing.ring), "timestamp", roots[0])


def describe(data: bytes, version: int) -> MetaFile:
    """Return what refers to metadata: version, length and hash, so that files of two states cannot be mixed."""
    return MetaFile.from_data(version, data, ["sha256"])
