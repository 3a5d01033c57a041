"""What lies in a release, held against itself: check-sums, manifests, bills of materials, provenance. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ec_closure import manifest
from ec_closure.dsse import SignatureError
from ec_release.attesting import cyclonedx, provenance, sbom, seal
from ec_release.attesting.file import MANIFEST_SUFFIX
from ec_release.audit.checking import NotDone, Seen
from ec_release.errors import AssetError
from ec_release.publishing.plan import SUMS, SUMS_SIGNATURE

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

    from tuf.api.metadata import Root

    from ec_closure.manifest import Manifest
    from ec_fetch.targets import Asset, ClosureTarget
    from ec_fetch.trusted import TrustedState
    from ec_release.audit.download import Files


def listing(listed: Counter[str], assets: Sequence[Asset], tag: str) -> Seen:
    """Return whether what is *listed* under *tag* is what is vouched for, each name once."""
    signed = {asset.asset for asset in assets}
    seen = Seen(f"{len(listed)} names, each once and each vouched for")
    seen.problems += [f"{name}: {count} assets have this name" for name, count in sorted(listed.items()) if count > 1]
    seen.problems += [f"{name}: no metadata vouch for it" for name in sorted(listed.keys() - signed)]
    seen.problems += [f"{name}: is signed, and is not listed under {tag}" for name in sorted(signed - listed.keys())]
    return seen


def metadata_listing(listed: Counter[str]) -> list[str]:
    """Return what is wrong with the names of metadata that are *listed*."""
    return [f"{name}: {count} metadata files have this name" for name, count in sorted(listed.items()) if count > 1]


def sums(files: Files) -> Seen:
    """Return whether `SHA256SUMS` names every asset but itself and its signature, with its digest, and nothing else."""
    said: dict[str, str] = {}
    seen = Seen()
    for number, line in enumerate(_kept(files, SUMS).decode(errors="replace").splitlines(), 1):
        digest, separator, name = line.partition("  ")
        if not separator:
            seen.problems.append(f"{SUMS}: line {number} is no check-sum")
        elif name in said:
            seen.problems.append(f"{SUMS}: names {name} twice")
        said[name] = digest
    named = {name: digest for name, digest in files.digests.items() if name not in {SUMS, SUMS_SIGNATURE}}
    seen.problems += [f"{SUMS}: does not name {name}" for name in sorted(named.keys() - said.keys())]
    seen.problems += [f"{SUMS}: names {name}, which is not as it was signed" for name in sorted(said.keys() - named)]
    seen.problems += [
        f"{SUMS}: has another SHA-256 of {name}" for name in sorted(named) if said.get(name, named[name]) != named[name]
    ]
    seen.detail = f"{len(said)} files, each with its SHA-256"
    return seen


def signature(files: Files, roots: Sequence[Root]) -> Seen:
    """Return whether a key of the targets role signed the check-sums, and by which root."""
    data, signed = _kept(files, SUMS_SIGNATURE), _kept(files, SUMS)
    for root in reversed(roots):
        try:
            key = seal.verify(data, signed, seal.of_root(root).keys, what=SUMS_SIGNATURE)
        except SignatureError:
            continue
        return Seen(f"by the key {key.keyid[:16]} of root {root.version}")
    raise SignatureError("is not signed by a key of the targets role of any root", place=SUMS_SIGNATURE)


def manifests(closures: Sequence[ClosureTarget], files: Files, found: dict[str, Manifest]) -> Seen:
    """Return whether every manifest decodes, is what metadata say, and agrees with the files that it names.

    Put those that do into *found*, by asset name.
    """
    seen = Seen()
    if not closures:
        raise NotDone("the release has no manifest")
    for target in closures:
        seen.hold(partial(_manifest, target, files, found))
    sources = {(one.source.rev, one.source.nar_hash, one.source.lock_hash) for one in found.values()}
    if len(sources) > 1:
        seen.problems.append("the manifests name different sources")
    seen.detail = ", ".join(f"{one.system.name}: {len(one.paths)} paths" for one in found.values())
    return seen


def _manifest(target: ClosureTarget, files: Files, found: dict[str, Manifest]) -> None:
    name = target.name.partition("/")[2]
    described = manifest.decode(_kept(files, name), what=name)
    said = (described.system.out_path, described.release.tag, described.release.version, described.system.name)
    if said != (target.toplevel, target.tag, target.version, target.system):
        raise AssetError("is of another system or release than metadata say", place=name)
    for artifact in described.artifacts:
        if files.digests.get(artifact.name) != artifact.sha256:
            raise AssetError(f"describes another {artifact.name} than is published", place=name)
    found[name] = described


def standing(closures: Sequence[ClosureTarget], state: TrustedState) -> Seen:
    """Return whether newest metadata still let this release run."""
    if not closures:
        raise NotDone("the release has no manifest")
    versions = sorted({target.version for target in closures})
    seen = Seen(f"release {', '.join(map(str, versions))} of {state.latest_version}")
    if len(versions) > 1:
        seen.problems.append(f"its manifests are of the releases {', '.join(map(str, versions))}")
    for version in versions:
        if version in state.withdrawn:
            seen.problems.append(f"release {version} is withdrawn")
        if version < state.min_version:
            seen.problems.append(f"release {version} is below the minimum {state.min_version}")
    return seen


def sboms(described: Mapping[str, Manifest], files: Files) -> Seen:
    """Return whether each manifest has a bill of materials that belongs to it. `NotDone` where one has none."""
    if not described:
        raise NotDone("there is no manifest that holds")
    seen = Seen()
    lacking = []
    bills = {name for name in files.kept if name.endswith(cyclonedx.SUFFIX)}
    for name, one in described.items():
        bill = name.removesuffix(MANIFEST_SUFFIX) + cyclonedx.SUFFIX
        if bill not in files.digests:
            lacking.append(bill)
            continue
        bills.discard(bill)
        seen.hold(partial(_bill, files.kept[bill], one, bill))
    seen.problems += [f"{name}: belongs to no manifest that holds" for name in sorted(bills)]
    if lacking and not seen.problems:
        raise NotDone(f"the release has no {', '.join(lacking)}")
    seen.detail = f"{len(described)} bills, each of the paths, hashes and references of its manifest"
    return seen


def _bill(data: bytes, described: Manifest, name: str) -> None:
    sbom.compare(cyclonedx.decode(data, what=name), described, what=name)


def attestation(described: Mapping[str, Manifest], files: Files, roots: Sequence[Root]) -> Seen:
    """Return whether provenance verifies, and is about these files and manifests."""
    data = _kept(files, provenance.NAME)
    for root in reversed(roots):
        signers = seal.of_root(root)
        try:
            statement = provenance.verify(data, signers.keys, signers.threshold, what=provenance.NAME)
        except SignatureError:
            continue
        apart = {SUMS, SUMS_SIGNATURE, provenance.NAME}
        subjects = {name: digest for name, digest in files.digests.items() if name not in apart}
        provenance.compare(statement, tuple(described.values()), subjects, what=provenance.NAME)
        asked = statement.predicate.build_definition.external_parameters
        return Seen(f"{len(subjects)} files, built from {asked.repository} {asked.ref}, by root {root.version}'s keys")
    raise SignatureError("is not signed by the targets keys of any root", place=provenance.NAME)


def _kept(files: Files, name: str) -> bytes:
    if name not in files.kept:
        raise NotDone("is not in the release as it was signed", place=name)
    return files.kept[name]
