"""Publish one release: assets first, then the metadata that vouch for them, the timestamp last."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuf.api.metadata import TargetFile, Targets

from ec_closure.errors import UsageError
from ec_release.errors import ConflictError
from ec_release.publishing.release import publish_assets
from ec_release.trust.published import load
from ec_release.trust.roles import FIELD, ONLINE
from ec_release.trust.signing import require_keys
from ec_release.trust.standing import Standing, standing_of
from ec_release.trust.update import Versions, current, write

if TYPE_CHECKING:
    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.publishing.plan import Asset, Plan
    from ec_release.trust.update import Signing


@dataclass(frozen=True)
class Outcome:
    """What publishing did: whether assets and metadata were published, and the versions readers see now.

    *draft* says that the release waits as a draft.
    """

    assets_published: bool
    metadata_published: bool
    versions: Versions
    draft: bool = False


def publish(
    backend: ReleaseBackend, plan: Plan, signing: Signing, pinned: bytes, *, stop_at_draft: bool = False
) -> Outcome:
    """Publish *plan*. Run again, it continues where it was interrupted, or changes nothing.

    With *stop_at_draft* a release that is not published yet stays a draft, and nothing is signed for it.

    Raises `UsageError` (version does not grow), `ConflictError` (the tag exists with other bytes), `MissingKeysError`,
    `PublishedMetadataError`, `BackendError`.
    """
    with backend.locked():
        published = load(backend, pinned)
        body = published.targets.signed
        said = standing_of(body)
        wanted = {plan.target(asset): _target(plan, asset) for asset in plan.assets.values()}
        known = {name: target for name, target in body.targets.items() if name.startswith(f"{plan.tag}/")}
        if known:
            if known != wanted:
                raise ConflictError(
                    "is signed with other assets or another version", place=plan.tag, hint="use a new tag"
                )
            return Outcome(publish_assets(backend, plan), metadata_published=False, versions=current(published))
        if plan.version <= said.latest:
            raise UsageError(
                f"version {plan.version} does not follow {said.latest}, the newest that is published",
                hint=f"give --version {said.latest + 1} or more",
            )
        require_keys(ONLINE, published.root.signed, signing.ring)
        assets_published = publish_assets(backend, plan, stop_at_draft=stop_at_draft)
        if stop_at_draft and not assets_published and backend.published(plan.tag) is None:
            return Outcome(assets_published, metadata_published=False, versions=current(published), draft=True)
        new: Targets = copy.deepcopy(body)
        new.targets.update(wanted)
        new.unrecognized_fields[FIELD] = Standing(plan.version, said.min_version, said.withdrawn).to_dict()
        versions = write(backend, published, signing, targets=new)
    return Outcome(assets_published, metadata_published=True, versions=versions)


def _target(plan: Plan, asset: Asset) -> TargetFile:
    extra = {"custom": asset.custom} if asset.custom else {}
    return TargetFile(asset.length, {"sha256": asset.sha256}, plan.target(asset), extra)
