"""Which release is staged: the newest that signed metadata allow, or the one that the operator names. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.decoding import excerpt
from ec_fetch.errors import MetadataError, NoTargetError
from ec_netboot.errors import RollbackError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_fetch.targets import Asset, ClosureTarget
    from ec_netboot.release import Generation, Platform, Release, Standing

SUFFIX = ".tar.zst"
_REVISION = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class Candidate:
    """A published image: the *asset* that holds it, its release's *tag* and *version*.

    *manifest* describes the system that it boots, None where the release has no manifest of that system.
    """

    asset: Asset
    tag: str
    version: int
    manifest: ClosureTarget | None


def system_of(platform: Platform) -> str:
    """Return what the system is called whose image is served to *platform*."""
    return f"ec-runner-{platform}-netboot"


def candidates(assets: Iterable[Asset], closures: Iterable[ClosureTarget], platform: Platform) -> list[Candidate]:
    """Return the images for *platform* that signed metadata know, oldest first.

    An image is called ``ec-runner-<platform>-netboot-<tag>-<revision>.tar.zst``. The version of its release is what the
    manifests of the same release say; one without any has no version, cannot be withdrawn, and is left out. Raises
    `MetadataError` when a release has two images for *platform*, or manifests of two versions.
    """
    known = list(closures)
    name = system_of(platform)
    found: dict[str, Candidate] = {}
    for asset in assets:
        if not _is_image(asset, name):
            continue
        if asset.tag in found:
            raise MetadataError(f"has two images for {platform}", place=excerpt(asset.tag))
        beside = [closure for closure in known if closure.tag == asset.tag]
        versions = {closure.version for closure in beside}
        if len(versions) > 1:
            raise MetadataError("has manifests of two versions", place=excerpt(asset.tag))
        if versions:
            manifest = next((closure for closure in beside if closure.system == name), None)
            found[asset.tag] = Candidate(asset, asset.tag, versions.pop(), manifest)
    return sorted(found.values(), key=lambda one: (one.version, one.tag))


def choose(
    known: Iterable[Candidate],
    standing: Standing,
    platform: Platform,
    *,
    pinned: str = "",
    served: Release | None = None,
    generation: Generation | None = None,
    again: bool = False,
) -> Candidate | None:
    """Return the image to stage, None where what is *served* stays because the operator chose it.

    *pinned* is a tag that the operator names: it may be older than what is served, never one that metadata exclude.
    *again* takes the newest although the operator chose another by hand before. Raises `NoTargetError` when there is
    none, `RollbackError` when the newest is older than what is served and that one may be served.
    """
    found = list(known)
    if pinned:
        return _pinned(found, standing, platform, pinned)
    allowed = [one for one in found if standing.excludes(one.version) is None]
    if not allowed:
        raise NoTargetError(
            f"no release that may be served has an image for {platform}",
            hint=f"its name is {system_of(platform)}-<tag>-<revision>{SUFFIX}, beside a manifest of the same release",
        )
    newest = allowed[-1]
    excluded = served is not None and standing.excludes(served.version) is not None
    if served is None or excluded or generation is None:
        return newest
    if newest.version <= generation.held and not again:
        return None
    # Signed metadata never go back to an older state; what does is a newest release whose image was taken out of them.
    if newest.version < served.version:
        raise RollbackError(
            f"the newest image is of release {newest.version}, and {served.version} is served",
            place=newest.asset.name,
            hint=f"if that is meant: ec-netboot stage --tag {newest.tag}",
        )
    return newest


def _pinned(found: list[Candidate], standing: Standing, platform: Platform, tag: str) -> Candidate:
    for one in found:
        if one.tag == tag:
            reason = standing.excludes(one.version)
            if reason:
                raise RollbackError(f"release {one.version} {reason}", place=tag, hint="it must not be served any more")
            return one
    raise NoTargetError(f"no image for {platform} in this release", place=excerpt(tag), hint="is the tag right?")


def _is_image(asset: Asset, system: str) -> bool:
    start = f"{system}-{asset.tag}-"
    if not asset.asset.startswith(start) or not asset.asset.endswith(SUFFIX):
        return False
    return bool(_REVISION.fullmatch(asset.asset[len(start) : -len(SUFFIX)]))
