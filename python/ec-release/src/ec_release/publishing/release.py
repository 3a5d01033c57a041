"""The assets of a release: draft, upload, read back, publish. Resumable; readers see all of it or none."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ec_release.errors import BackendError, ConflictError

if TYPE_CHECKING:
    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.publishing.plan import Asset, Plan


def publish_assets(backend: ReleaseBackend, plan: Plan) -> bool:
    """Publish the assets of *plan*; return whether anything was done.

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
        backend.upload(plan.tag, asset.name, asset.chunks())
        if not _reads_back(backend, plan, asset):
            raise BackendError(
                "reads back with other bytes than were uploaded",
                place=plan.target(asset),
                hint="the file changed meanwhile, or the place is faulty; run the same command again",
            )
    backend.publish(plan.tag)
    return True


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
    for chunk in backend.read(plan.tag, asset.name):
        digest.update(chunk)
        length += len(chunk)
        if length > asset.length:
            return False
    return (digest.hexdigest(), length) == (asset.sha256, asset.length)
