"""The audit of one release: the checks in their order, each with what the ones before it found."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.audit import Audit, verdict
from ec_closure.errors import UsageError
from ec_fetch.client import TrustClient, TrustSettings
from ec_release.audit import contents, download, history, public, source
from ec_release.audit.checking import Checks, NotDone, Seen
from ec_release.audit.git import PublicRepository
from ec_release.audit.source import PublicSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tuf.api.metadata import Root

    from ec_closure.manifest import Manifest
    from ec_fetch.fetcher import ReleaseFetcher
    from ec_fetch.targets import Asset, ClosureTarget
    from ec_fetch.trusted import TrustedState
    from ec_release.audit.download import Files
    from ec_release.audit.public import Public

NAMES = (
    "metadata",
    "history",
    "assets",
    "listing",
    "sums",
    "sums-signature",
    "manifests",
    "standing",
    "sbom",
    "provenance",
    "source",
    "inputs",
    "tag",
    "tag-signature",
)
"""The checks in their order."""


@dataclass(frozen=True)
class Asked:
    """What is to be audited, and against what.

    *root* is the pinned root, *time* what expiry is compared with. *source* is the public repository, an address or a
    path; *signers* a file of those who may sign tags, as `ssh-keygen` reads it. Checks named in *skip* are left
    out. *ca_file* holds the authorities that vouch for the repository's server, instead of the system's.
    """

    tag: str
    place: Public
    root: bytes
    time: datetime
    source: str | None = None
    signers: Path | None = None
    ca_file: Path | None = None
    skip: frozenset[str] = frozenset()


@dataclass
class _Found:
    """What checks found and later ones need."""

    state: TrustedState | None = None
    roots: list[Root] = field(default_factory=list)
    assets: list[Asset] = field(default_factory=list)
    closures: list[ClosureTarget] = field(default_factory=list)
    files: Files = field(default_factory=download.Files)
    manifests: dict[str, Manifest] = field(default_factory=dict)


def carry_out(asked: Asked, *, fetcher: ReleaseFetcher, report: Callable[[str], None] = lambda _: None) -> Audit:
    """Audit one release. *report* is told the name of what is looked at next.

    Raises `UsageError` and `MetadataError` for what was asked for; whatever is wrong with the release is in the result.
    """
    unknown = sorted(asked.skip - set(NAMES))
    if unknown:
        raise UsageError(f"there is no check {unknown[0]}", place="--skip", hint=", ".join(NAMES))
    checks, found = Checks(asked.skip), _Found()
    with tempfile.TemporaryDirectory(prefix="ec-audit-") as name:
        scratch = Path(name)
        repository = PublicRepository(asked.source, scratch, ca_file=asked.ca_file) if asked.source else None
        shown = PublicSource(repository, scratch, report)
        _published(asked, checks, found, scratch, fetcher, report)
        _source(asked, checks, found, shown)
    done = tuple(checks.done)
    return Audit(
        tag=asked.tag,
        place=asked.place.base,
        verdict=verdict(done),
        reference_time=max(0, int(asked.time.timestamp())),
        release=max((target.version for target in found.closures), default=None),
        root_version=found.state.root_version if found.state else None,
        checks=done,
    )


def _published(
    asked: Asked,
    checks: Checks,
    found: _Found,
    scratch: Path,
    fetcher: ReleaseFetcher,
    report: Callable[[str], None],
) -> None:
    place, tag = asked.place, asked.tag
    metadata_base = f"{place.base}{public.TRUST}/"
    client = TrustClient(
        TrustSettings(metadata_base, place.base, asked.root, scratch / "trust"),
        reference_time=asked.time,
        fetcher=fetcher,
    )

    def metadata() -> Seen:
        report("metadata")
        found.state = client.refresh()
        found.roots = history.trusted_roots(asked.root, client.metadata)
        found.assets = [asset for asset in client.assets() if asset.tag == tag]
        found.closures = [target for target in client.closures() if target.tag == tag]
        state = found.state
        seen = Seen(f"root {state.root_version}, targets {state.targets_version}, valid until {state.expires:%Y-%m-%d}")
        if not found.assets:
            seen.problems.append(f"they vouch for nothing under the tag {tag}")
        return seen

    def numbered() -> Seen:
        seen = Seen()
        walk = history.History(metadata_base, fetcher, seen, report)
        found.roots = history.look(walk, asked.root, _state(found), tag, seen)
        return seen

    def assets() -> Seen:
        _state(found)
        seen = Seen()
        found.files = download.fetch(found.assets, place.base, fetcher, seen, report)
        size = sum(asset.length for asset in found.assets)
        seen.detail = f"{len(found.assets)} files, {size} bytes, as they were signed"
        return seen

    def listing() -> Seen:
        _state(found)
        seen = contents.listing(place.listed(tag, fetcher), found.assets, tag)
        seen.problems += contents.metadata_listing(place.listed(public.TRUST, fetcher))
        return seen

    # Named even when nobody may skip them: what follows rests on them.
    checks.look("metadata", metadata)
    checks.look("history", numbered)
    checks.look("assets", assets)
    checks.look("listing", listing)
    checks.look("sums", lambda: contents.sums(found.files))
    checks.look("sums-signature", lambda: contents.signature(found.files, found.roots))
    checks.look("manifests", lambda: contents.manifests(found.closures, found.files, found.manifests))
    checks.look("standing", lambda: contents.standing(found.closures, _state(found)))
    checks.look("sbom", lambda: contents.sboms(found.manifests, found.files))
    checks.look("provenance", lambda: contents.attestation(found.manifests, found.files, found.roots))


def _source(asked: Asked, checks: Checks, found: _Found, shown: PublicSource) -> None:
    described = found.manifests
    checks.look("source", lambda: shown.same(source.claimed(described)))
    checks.look("inputs", lambda: shown.inputs(source.claimed(described), described))
    checks.look("tag", lambda: shown.tag_points(asked.tag, source.claimed(described)))
    if asked.signers is None:
        checks.add("tag-signature", "skipped", "not asked for: give --allowed-signers")
    else:
        signers = asked.signers
        checks.look("tag-signature", lambda: shown.tag_signed(asked.tag, signers))


def _state(found: _Found) -> TrustedState:
    if found.state is None:
        raise NotDone("nothing is to be believed without metadata that verify")
    return found.state
