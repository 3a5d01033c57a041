"""As much of a CycloneDX 1.6 bill of materials as we write, `<system>.cdx.json`.

Canonical like everything of ours: sorted keys, no white space, one newline. A document with fields that we do not write
is not read. Source: the CycloneDX 1.6 JSON schema; names of properties in `nix:` from nixpkgs' taxonomy.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ec_closure import canonical
from ec_closure.record import Line, Record, Sha256

SUFFIX = ".cdx.json"
MAX_BYTES = 512 << 20


class Part(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a bill of materials. What is not known is left out."""


class Property(Part, frozen=True, kw_only=True, gc=False):
    """A named value, a string always."""

    name: Line
    value: Line


class Digest(Part, frozen=True, kw_only=True, gc=False):
    """A hash in hexadecimal; of a store path, that of its NAR."""

    alg: Literal["SHA-256"]
    content: Sha256


class Component(Part, frozen=True, kw_only=True, gc=False):
    """One store path, called *bom_ref* (its base name) elsewhere in the document; or a tool."""

    type: Literal["application", "file", "operating-system"]
    name: Line
    bom_ref: Line | None = msgspec.field(name="bom-ref", default=None)
    version: Line | None = None
    purl: Line | None = None
    hashes: tuple[Digest, ...] = ()
    properties: tuple[Property, ...] = ()


class Tools(Part, frozen=True, kw_only=True):
    """What wrote the document."""

    components: tuple[Component, ...]


class Metadata(Part, frozen=True, kw_only=True):
    """What the document is about: *component* is the system, *timestamp* the commit's time."""

    timestamp: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$(?!\n)")]
    tools: Tools
    component: Component


class Dependency(Part, frozen=True, kw_only=True, gc=False):
    """What the store path *ref* refers to, itself left out."""

    ref: Line
    depends_on: tuple[Line, ...] = ()


class Bom(Part, frozen=True, kw_only=True):
    """The bill of materials of one system."""

    schema: Literal["http://cyclonedx.org/schema/bom-1.6.schema.json"] = msgspec.field(name="$schema")
    bom_format: Literal["CycloneDX"]
    spec_version: Literal["1.6"]
    serial_number: Annotated[str, msgspec.Meta(pattern=r"^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$(?!\n)")]
    version: Literal[1]
    metadata: Metadata
    components: tuple[Component, ...] = ()
    dependencies: tuple[Dependency, ...]


def encode(bom: Bom) -> bytes:
    """Return the published bytes."""
    return canonical.encode(bom)


def decode(data: bytes, *, what: str) -> Bom:
    """Decode what `encode` wrote. Raises `LimitError` and `BadInputError`, each with its place.

    Not checked: whether its parts fit together, or fit a manifest; see `sbom.compare`.
    """
    return canonical.decode(data, Bom, what=what, max_bytes=MAX_BYTES)
