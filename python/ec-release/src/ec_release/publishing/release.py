"""The assets of a release: draft, upload, read back, publish. Resumable; readers see all of it or none."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ec_release.errors import BackendError, ConflictError
from ec_release.progress import drawn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.publishing.plan import Asset, Plan


def publish_assets(backend: ReleaseBackend, plan: Plan, *, stop_at_draft: bool = False) -> bool:
    """Publish the assets of *plan*; return whether anything was published. With *stop_at_draft* the draft stays one.

    Raises `ConflictError` when the tag was published with other bytes, `BackendError` when what was uploaded does not
    read back the same.
    """
    names = backend.published(plan.tag)
    if names is not None:
        _check_same(backend, plan, names)
        return False
    held = backend.draft(plan.tag)
    for name in sorted(held - set(plan.assets)):
        backend.discard(plan.tag, name)
    for asset in plan.assets.values():
        # An interrupted run left what it had uploaded; what is the same already need not travel twice.
        if asset.name in held and _reads_back(backend, plan, asset):
            continue
        _upload(backend, plan, asset)
    found = backend.draft(plan.tag)
    if found != set(plan.assets):
        different = ", ".join(sorted(found ^ set(plan.assets)))
        raise BackendError(
            f"holds other assets than were uploaded: {different}",
            place=plan.tag,
            hint="somebody else changes this draft; run the same command again when they have finished",
        )
    if not stop_at_draft:
        backend.publish(plan.tag)
    return not stop_at_draft


def _upload(backend: ReleaseBackend, plan: Plan, asset: Asset) -> None:
    def chunks() -> Iterator[bytes]:
        return drawn(f"upload {asset.name}", asset.length, asset.chunks())

    backend.upload(plan.tag, asset.name, asset.length, chunks)
    if not _reads_back(backend, plan, asset):
        raise BackendError(
            "reads back with other bytes than were uploaded",
            place=plan.target(asset),
            hint="the file changed meanwhile, or the place is faulty; run the same command again",
        )


def _check_same(backend: ReleaseBackend, plan: Plan, names: frozenset[str]) -> None:
    if names != set(plan.assets):
        different = ", ".join(sorted(names ^ set(plan.assets)))
        raise ConflictError(f"was published with other assets: {different}", place=plan.tag, hint="use a new tag")
    for asset in plan.assets.values():
        if not _reads_back(backend, plan, asset):
            raise ConflictError("was published with other bytes", place=plan.target(asset), hint="use a new tag")


def _reads_back(backend: ReleaseBackend, plan: Plan, asset: Asset) -> bool:
    digest = hashlib.sha256()
    length = 0
    for chunk in drawn(f"read back {asset.name}", asset.length, backend.read(plan.tag, asset.name)):
        digest.update(chunk)
        length += len(chunk)
        if length > asset.length:
            return False
    return (digest.hexdigest(), length) == (asset.sha256, asset.length)
