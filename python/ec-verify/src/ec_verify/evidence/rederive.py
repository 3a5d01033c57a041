"""What signed metadata and manifests say, drawn again from a bundle: the counterpart of `ec_verify.trust`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ec_closure import canonical, evidence
from ec_closure.manifest_rules import ManifestError
from ec_fetch.replay import replay
from ec_fetch.targets import choose, closures
from ec_fetch.trusted import describe
from ec_verify.model import TrustOutcome
from ec_verify.trust import is_clock_behind, read_manifest, specialisation_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ec_closure.evidence import EvidenceIndex
    from ec_closure.manifest import Manifest
    from ec_fetch.targets import ClosureTarget
    from ec_verify.judge import Case


def rederive(
    case: Case, members: Mapping[str, bytes], index: EvidenceIndex, root: bytes, judged_at: datetime
) -> tuple[TrustOutcome, tuple[str, ...]]:
    """Return the outcome of step 1 as the metadata prove it, and the roles that had expired at *judged_at*.

    Only problems on the way to the server, and whether there was one, are the node's word. Raises `MetadataError`,
    `NoTargetError`, `RefusedError`, `BadInputError`: then the bundle does not follow from *root*.
    """
    nothing = TrustOutcome(offline=case.trust.offline, problems=case.trust.problems, notes=case.trust.notes)
    files = {
        name.removeprefix(evidence.TRUST): data for name, data in members.items() if name.startswith(evidence.TRUST)
    }
    if not files:
        if index.manifests:
            raise ManifestError("there are manifests, but no metadata that vouch for them")
        return nothing, ()
    verified = replay(files, root)
    known = closures(verified.targets)
    time = datetime.fromtimestamp(case.time, UTC)
    refreshed = index.refreshed or 0
    state = describe(verified, known, refreshed=refreshed, reference_time=time, offline=nothing.offline)
    expired = describe(verified, known, refreshed=refreshed, reference_time=judged_at, offline=True).expired
    if is_clock_behind(time, state):
        return nothing, ()
    manifests = [
        _manifest(name, members[evidence.manifest_member(position)], known)
        for position, name in enumerate(index.manifests)
    ]
    found = replace(
        nothing,
        metadata_age=state.age(time),
        latest_version=state.latest_version or None,
        min_version=state.min_version,
        withdrawn=state.withdrawn,
    )
    if index.has_manifest:
        current = case.observation.running.current or "none"
        target = choose(known, current)
        if not manifests or manifests[0][0].name != target.name:
            raise ManifestError("the first manifest is not that of the running system", place=target.name)
        versions = {closure.version for closure in known}
        found = replace(
            found,
            manifest=manifests[0][1],
            manifest_digest=target.sha256,
            target=target.name,
            specialisation=specialisation_of(manifests[0][1], current, target.name),
            newer_releases=sum(one > target.version for one in versions),
        )
    others = manifests[1:] if index.has_manifest else manifests
    return replace(found, others=tuple(manifest for _, manifest in others)), expired


def _manifest(name: str, data: bytes, known: list[ClosureTarget]) -> tuple[ClosureTarget, Manifest]:
    """Return the manifest in *data*, which must be the newest one of its system."""
    target = next((closure for closure in known if closure.name == name), None)
    if target is None or choose(known, target.toplevel).sha256 != target.sha256:
        raise ManifestError("is not the manifest that the metadata name for its system", place=name)
    if len(data) != target.length or canonical.digest(data) != target.sha256:
        raise ManifestError("is not what the metadata describe", place=name)
    return target, read_manifest(data, target)
