"""How a release was built: one in-toto statement about all of its assets, with a SLSA provenance predicate. Pure.

Signed as a DSSE envelope with the key of CI that signs targets, `provenance.intoto.json`. What the fields mean is said
in docs/build-type.md. Source: SLSA build provenance v1, in-toto attestation framework v1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from ec_closure import dsse, intoto, strict_json
from ec_closure.errors import UsageError
from ec_closure.record import Line, Record
from ec_release.errors import AssetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from securesystemslib.signer import Key, Signer

    from ec_closure.manifest import Manifest
    from ec_release.closure.lock import Lock

NAME = "provenance.intoto.json"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
SOURCE = "source"
MAX_BYTES = 16 << 20
_MAX_DEPTH = 16

Digests = Annotated[dict[Line, Line], msgspec.Meta(min_length=1)]


class Part(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A part of the predicate. What is not known is left out."""


class Resource(Part, frozen=True, kw_only=True):
    """Something that went in or came out. `gitCommit` in *digest* is a commit, `narHash` what Nix says of a tree."""

    name: Line
    uri: Line | None = None
    digest: Digests


class BuiltSystem(Part, frozen=True, kw_only=True):
    """What was asked for: an *attr* of the flake, published as *name*."""

    name: Line
    attr: Line


class ExternalParameters(Part, frozen=True, kw_only=True):
    """What whoever started the build chose."""

    repository: Line
    ref: Line
    systems: tuple[BuiltSystem, ...] = ()


class InternalParameters(Part, frozen=True, kw_only=True):
    """What the builder chose."""

    sandbox: bool
    platforms: tuple[Line, ...]


class BuildDefinition(Part, frozen=True, kw_only=True):
    """The inputs of the build."""

    build_type: Literal["https://every.channel/build-types/runner-release/v1"]
    external_parameters: ExternalParameters
    internal_parameters: InternalParameters | None = None
    resolved_dependencies: tuple[Resource, ...] = ()


class Builder(Part, frozen=True, kw_only=True):
    """Who built: a URI, and versions of its parts."""

    id: Line
    version: dict[Line, Line] = {}


class BuildMetadata(Part, frozen=True, kw_only=True):
    """Which run it was."""

    invocation_id: Line


class RunDetails(Part, frozen=True, kw_only=True):
    """The run. *byproducts* are the systems' store paths: they came out, and are no assets."""

    builder: Builder
    metadata: BuildMetadata | None = None
    byproducts: tuple[Resource, ...] = ()


class Provenance(Part, frozen=True, kw_only=True):
    """The predicate."""

    build_definition: BuildDefinition
    run_details: RunDetails


class ProvenanceStatement(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename={"type_": "_type", "predicate_type": "predicateType"},
):
    """The statement as it is signed, its predicate decoded."""

    type_: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
    subject: Annotated[tuple[intoto.Subject, ...], msgspec.Meta(min_length=1)]
    predicate_type: Literal["https://slsa.dev/provenance/v1"] = "https://slsa.dev/provenance/v1"
    predicate: Provenance


class Run(Part, frozen=True, kw_only=True):
    """Where CI built: the *repository*'s address, the *ref*, who the builder is, and which *invocation* it was."""

    repository: Line
    ref: Line
    builder_id: Line
    invocation: Line | None = None
    tool_version: Line


def make(run: Run, manifests: Sequence[Manifest], lock: Lock, subjects: Mapping[str, str]) -> ProvenanceStatement:
    """Return the statement about *subjects*, names of assets with their SHA-256.

    All *manifests* are of one source, of which *lock* is the lock file. Raises `UsageError`.
    """
    if not manifests:
        raise UsageError("no manifest says what was built", hint="give the manifests of the release with --closure")
    first = manifests[0]
    for other in manifests[1:]:
        if other.source != first.source or other.release != first.release:
            raise UsageError(
                f"{other.system.name} and {first.system.name} are of two releases or sources",
                hint="describe all systems of a release from one commit",
            )
    if first.source.lock_hash != lock.sha256:
        raise UsageError(
            "the lock file is not the one that the manifests name", hint="give the source that was built with --source"
        )
    builders = sorted({one.builder.nix for one in manifests})
    return ProvenanceStatement(
        subject=tuple(
            intoto.Subject(name=name, digest={"sha256": digest}) for name, digest in sorted(subjects.items())
        ),
        predicate=Provenance(
            build_definition=BuildDefinition(
                build_type="https://every.channel/build-types/runner-release/v1",
                external_parameters=ExternalParameters(
                    repository=run.repository,
                    ref=run.ref,
                    systems=tuple(
                        BuiltSystem(name=one.system.name, attr=one.system.attr) for one in _by_name(manifests)
                    ),
                ),
                internal_parameters=InternalParameters(
                    sandbox=all(one.builder.sandbox for one in manifests),
                    platforms=tuple(sorted({one.builder.platform for one in manifests})),
                ),
                resolved_dependencies=(_source(run, first), *_inputs(lock)),
            ),
            run_details=RunDetails(
                builder=Builder(
                    id=run.builder_id, version={"ec-release": run.tool_version, "nix": ", ".join(builders)}
                ),
                metadata=BuildMetadata(invocation_id=run.invocation) if run.invocation else None,
                byproducts=tuple(
                    Resource(name=one.system.out_path, digest={"narHash": _top(one)}) for one in _by_name(manifests)
                ),
            ),
        ),
    )


def sign(statement: ProvenanceStatement, signers: Sequence[Signer]) -> bytes:
    """Return the envelope of *statement*. Ed25519: the same again gives the same bytes."""
    return dsse.sign(msgspec.json.encode(statement, order="sorted"), intoto.PAYLOAD_TYPE, signers)


def verify(data: bytes, keys: Sequence[Key], threshold: int, *, what: str) -> ProvenanceStatement:
    """Return the statement in the envelope *data*, verified before it is parsed.

    Raises `SignatureError`, `BadInputError`, `LimitError`. Not checked: what it says; see `compare`.
    """
    return decode(dsse.verify(data, intoto.PAYLOAD_TYPE, keys, threshold=threshold, what=what), what=what)


def decode(payload: bytes, *, what: str) -> ProvenanceStatement:
    """Decode a statement that was verified. Raises `BadInputError`, `LimitError`."""
    return strict_json.decode(payload, ProvenanceStatement, what=what, max_bytes=MAX_BYTES, max_depth=_MAX_DEPTH)


def compare(
    statement: ProvenanceStatement, manifests: Sequence[Manifest], subjects: Mapping[str, str], *, what: str
) -> None:
    """Raise `AssetError` unless *statement* is about exactly *subjects*, and about what *manifests* describe."""
    named = {one.name: one.digest for one in statement.subject}
    if len(named) != len(statement.subject):
        raise AssetError("names an asset twice", place=what)
    wanted = {name: {"sha256": digest} for name, digest in subjects.items()}
    for problem, names in (
        ("does not name", wanted.keys() - named.keys()),
        ("names, though it is not in the release,", named.keys() - wanted.keys()),
        ("names another", {name for name in wanted if named.get(name) != wanted[name]}),
    ):
        if names:
            raise AssetError(f"{problem} {min(names)}", place=what)
    _compare_build(statement.predicate, manifests, what)


def _compare_build(said: Provenance, manifests: Sequence[Manifest], what: str) -> None:
    systems = {(one.system.name, one.system.attr) for one in manifests}
    if {(one.name, one.attr) for one in said.build_definition.external_parameters.systems} != systems:
        raise AssetError("names other systems than are described", place=what)
    if {one.name: one.digest for one in said.run_details.byproducts} != {
        one.system.out_path: {"narHash": _top(one)} for one in manifests
    }:
        raise AssetError("names other store paths than are described", place=what)
    went_in = {one.name: one.digest for one in said.build_definition.resolved_dependencies}
    for one in manifests:
        wanted = {"narHash": one.source.nar_hash} | ({"gitCommit": one.source.rev} if one.source.rev else {})
        if went_in.get(SOURCE) != wanted:
            raise AssetError(f"was built from another source than {one.system.name}", place=what)
        for name, entry in one.source.inputs.items():
            if went_in.get(_input(name), {}).get("narHash") != entry.nar_hash:
                raise AssetError(f"has another input {name} than {one.system.name}", place=what)


def _source(run: Run, manifest: Manifest) -> Resource:
    digest = {"narHash": manifest.source.nar_hash}
    if manifest.source.rev is not None:
        digest["gitCommit"] = manifest.source.rev
    return Resource(name=SOURCE, uri=f"git+{run.repository}@{run.ref}", digest=digest)


def _inputs(lock: Lock) -> tuple[Resource, ...]:
    return tuple(
        Resource(
            name=_input(entry.name),
            uri=entry.uri,
            digest={"narHash": entry.nar_hash.sri} | ({"gitCommit": entry.rev} if entry.rev else {}),
        )
        for entry in lock.inputs
    )


def _input(name: str) -> str:
    return f"inputs/{name}"


def _top(manifest: Manifest) -> str:
    return manifest.paths[manifest.index()[manifest.system.out_path]].nar_hash


def _by_name(manifests: Sequence[Manifest]) -> list[Manifest]:
    return sorted(manifests, key=lambda one: one.system.name)
