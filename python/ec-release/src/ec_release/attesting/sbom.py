"""The bill of materials of a system, from its manifest; and whether one belongs to a manifest. Pure.

Nothing is in it that the manifest does not say: no licences, no suppliers, no guesses. Describing a manifest again
gives the same bytes.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from ec_closure import canonical
from ec_closure.errors import UsageError
from ec_closure.hashes import Hash
from ec_release.attesting import cyclonedx, store_name
from ec_release.attesting.cyclonedx import Bom, Component, Dependency, Digest, Metadata, Property, Tools
from ec_release.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ec_closure.manifest import Manifest, PathRecord

_UNNUMBERED = "urn:uuid:00000000-0000-0000-0000-000000000000"
_SPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://every.channel/sbom")
_LAST_SECOND = 253402300799  # of the year 9999


def make(manifest: Manifest, *, tool_version: str) -> Bom:
    """Return the bill of materials of the system that *manifest* describes. Raises `UsageError` for its time."""
    bom = _unnumbered(manifest, tool_version)
    # The number names these bytes: another document, another number; the same again, the same.
    number = uuid.uuid5(_SPACE, canonical.digest(cyclonedx.encode(bom)))
    return msgspec.structs.replace(bom, serial_number=number.urn)


def _unnumbered(manifest: Manifest, tool_version: str) -> Bom:
    records = [*manifest.paths, *manifest.contents]
    names = [_base(record.path) for record in records]
    top = _base(manifest.system.out_path)
    components = [_component(record, name) for record, name in zip(records, names, strict=True)]
    at = names.index(top)
    system = msgspec.structs.replace(
        components.pop(at),
        type="operating-system",
        name=manifest.system.name,
        version=manifest.release.tag,
        purl=None,
        properties=tuple(sorted(_of_system(manifest, records[at]), key=_by_name)),
    )
    return Bom(
        schema="http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format="CycloneDX",
        spec_version="1.6",
        serial_number=_UNNUMBERED,
        version=1,
        metadata=Metadata(
            timestamp=_time(manifest.release.issued),
            tools=Tools(components=(Component(type="application", name="ec-release", version=tool_version),)),
            component=system,
        ),
        components=tuple(components),
        dependencies=tuple(
            Dependency(ref=name, depends_on=tuple(names[position] for position in record.references if position != own))
            for own, (record, name) in enumerate(zip(records, names, strict=True))
        ),
    )


def compare(bom: Bom, manifest: Manifest, *, what: str) -> None:
    """Raise `AssetError` unless *bom* is about the system of *manifest*: the same paths, bytes and references.

    Names, versions and package URLs are not compared: another version of this program may tell them apart otherwise.
    """
    expected = _unnumbered(manifest, tool_version="-")
    if bom.metadata.component.bom_ref != expected.metadata.component.bom_ref:
        raise AssetError(f"is about {bom.metadata.component.bom_ref}, another system", place=what)
    said, wanted = bom.metadata, expected.metadata
    if (said.component.version, said.timestamp) != (wanted.component.version, wanted.timestamp):
        raise AssetError(f"is of release {said.component.version}, {said.timestamp}", place=what)
    ours, theirs = _hashes(expected), _hashes(bom)
    if len(theirs) != 1 + len(bom.components):
        raise AssetError("lists a store path twice", place=what)
    _same(ours, theirs, "another hash of", what)
    edges = {one.ref: one.depends_on for one in bom.dependencies}
    if len(edges) != len(bom.dependencies):
        raise AssetError("lists dependencies twice", place=what)
    _same({one.ref: one.depends_on for one in expected.dependencies}, edges, "other dependencies of", what)


def _same(ours: Mapping[str, object], theirs: Mapping[str, object], problem: str, what: str) -> None:
    if ours == theirs:
        return
    for said, names in (
        ("lacks", sorted(ours.keys() - theirs.keys())),
        ("lists, beyond the manifest,", sorted(theirs.keys() - ours.keys())),
        ("has", [f"{problem} {name}" for name in sorted(ours) if theirs.get(name) != ours[name]]),
    ):
        if names:
            raise AssetError(f"{said} {names[0]}", place=what)


def _hashes(bom: Bom) -> dict[str, object]:
    return {str(one.bom_ref): one.hashes for one in (bom.metadata.component, *bom.components)}


def _component(record: PathRecord, base_name: str) -> Component:
    name = store_name.read(base_name, record.output)
    return Component(
        type="file" if name.version is None else "application",
        bom_ref=base_name,
        name=name.name,
        version=name.version,
        purl=name.purl,
        hashes=(Digest(alg="SHA-256", content=Hash.parse(record.nar_hash).base16),),
        properties=tuple(_properties(record)),
    )


def _properties(record: PathRecord) -> Iterator[Property]:
    """Yield what else is known, by name."""
    if record.cache is not None:
        yield Property(name="ec-runner:cache", value=record.cache)
    yield Property(name="ec-runner:origin", value=record.origin)
    if record.output is not None:
        yield Property(name="ec-runner:output", value=record.output)
    if record.ca is not None:
        yield Property(name="nix:narinfo:ca", value=record.ca)
    if record.deriver is not None:
        yield Property(name="nix:narinfo:deriver", value=record.deriver)
    yield Property(name="nix:narinfo:nar_hash", value=record.nar_hash)
    yield Property(name="nix:narinfo:nar_size", value=str(record.nar_size))
    yield Property(name="nix:store_path", value=record.path)


def _of_system(manifest: Manifest, record: PathRecord) -> Iterator[Property]:
    yield from _properties(record)
    yield Property(name="ec-runner:release-version", value=str(manifest.release.version))
    yield Property(name="ec-runner:source-nar-hash", value=manifest.source.nar_hash)
    if manifest.source.rev is not None:
        yield Property(name="ec-runner:source-rev", value=manifest.source.rev)
    yield Property(name="nix:narinfo:system", value=manifest.system.platform)


def _by_name(one: Property) -> str:
    return one.name


def _base(path: str) -> str:
    return path.rpartition("/")[2]


def _time(seconds: int) -> str:
    if seconds > _LAST_SECOND:
        raise UsageError(f"{seconds} seconds since 1970 is no time that a calendar has", place="release: issued")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
