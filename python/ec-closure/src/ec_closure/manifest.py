"""The closure manifest: what CI says is inside one system, `<system>.closure.json.zst`.

One record for each path of the run-time closure, sorted by store path. References are positions in
that list, so that a manifest cannot refer to a path that it does not describe. The document itself
carries no signature: it is a TUF target, and whoever decodes one has verified it before.

What holds between its parts is checked in `manifest_rules`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ec_closure import canonical
from ec_closure.errors import LimitError
from ec_closure.manifest_rules import check
from ec_closure.record import Count, Line, Record, Sha256, Sri, StorePathText
from ec_closure.store_path import STORE_DIR

MAX_COMPRESSED = 64 << 20
MAX_DECODED = 512 << 20


class Part(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a manifest. Defaults are left out, so that a field added later leaves old manifests as they are."""


class Release(Part, frozen=True, kw_only=True):
    """Which release this is. *version* only grows; *issued* is the commit's time, seconds since 1970."""

    tag: Line
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    issued: Count


class FlakeInput(Part, frozen=True, kw_only=True):
    """One locked input of the flake, as it lies in the store."""

    nar_hash: Sri
    store_path: StorePathText


class Source(Part, frozen=True, kw_only=True):
    """The flake that the system was built from: *lock_hash* is the SHA-256 of its flake.lock."""

    nar_hash: Sri
    store_path: StorePathText
    rev: Line | None = None
    lock_hash: Sha256 | None = None
    inputs: dict[str, FlakeInput] = {}


class System(Part, frozen=True, kw_only=True):
    """What was built: the flake attribute, its derivation and its output."""

    name: Line
    attr: Line
    platform: Line
    drv_path: StorePathText
    out_path: StorePathText
    specialisations: dict[str, StorePathText] = {}


class Builder(Part, frozen=True, kw_only=True):
    """With what it was built."""

    nix: Line
    sandbox: bool
    platform: Line


class PathRecord(Part, frozen=True, kw_only=True, gc=False):
    """One store path. *references* are positions in the list of paths, ascending.

    *origin* says how CI came by it: `built` from *deriver* as its output *output*, `copied` from
    the source tree, or `substituted`, then *cache* names the key that vouched for it.
    """

    # gc=False above: no cycle can lead through a record, and a closure has very many of them.

    path: StorePathText
    nar_hash: Sri
    nar_size: Count
    references: tuple[int, ...] = ()
    ca: Line | None = None
    deriver: StorePathText | None = None
    output: Line | None = None
    origin: Literal["built", "copied", "substituted"]
    cache: Line | None = None


class BootFile(Part, frozen=True, kw_only=True):
    """A file that firmware or a boot loader reads, by its path inside the toplevel."""

    name: Line
    store_path: StorePathText
    sha256: Sha256
    size: Count


class Artifact(Part, frozen=True, kw_only=True):
    """A published file of the release."""

    name: Line
    sha256: Sha256
    size: Count
    store_path: StorePathText | None = None
    attr: Line | None = None


class Manifest(Part, frozen=True, kw_only=True, tag_field="schema", tag="ec-runner.closure-manifest.v1"):
    """What CI says is inside one system. *contents* lists what an image's store holds beyond the closure.

    *boot* and *artifacts* are sorted by name.
    """

    store_dir: Line = STORE_DIR
    release: Release
    source: Source
    system: System
    builder: Builder
    paths: tuple[PathRecord, ...]
    contents: tuple[PathRecord, ...] = ()
    boot: tuple[BootFile, ...] = ()
    artifacts: tuple[Artifact, ...] = ()

    def __post_init__(self) -> None:
        # msgspec leaves out what *is* the default object, not what equals it.
        if self.store_dir == STORE_DIR:
            msgspec.structs.force_setattr(self, "store_dir", STORE_DIR)

    def index(self) -> dict[str, int]:
        """Return the position of every path of the closure."""
        return {record.path: position for position, record in enumerate(self.paths)}

    def references_of(self, record: PathRecord) -> tuple[str, ...]:
        """Return the store paths that *record* refers to."""
        if not self.contents:  # a system's manifest; asked once for each of 100,000 paths
            paths = self.paths
            return tuple([paths[position].path for position in record.references])
        count = len(self.paths)
        return tuple(
            (self.paths[position] if position < count else self.contents[position - count]).path
            for position in record.references
        )


def encode(manifest: Manifest) -> bytes:
    """Return the published bytes: canonical JSON in one zstd frame.

    What is returned was seen to decode. Raises what `decode` raises, for nobody could read it.
    """
    manifest.__post_init__()  # `structs.replace` does not call it
    data = canonical.compress(canonical.encode(manifest))
    decode(data)
    return data


def decode(data: bytes, *, what: str = "manifest") -> Manifest:
    """Decode and validate a published manifest.

    Raises `LimitError`, `BadInputError` or `ManifestError`, each with its place. Does not verify
    where the bytes come from: they are a TUF target and verified before.
    """
    if len(data) > MAX_COMPRESSED:
        raise LimitError(f"{len(data)} bytes where at most {MAX_COMPRESSED} are accepted", place=what)
    raw = canonical.decompress(data, what=what, max_bytes=MAX_DECODED)
    manifest = canonical.decode(raw, Manifest, what=what, max_bytes=MAX_DECODED)
    check(manifest, what=what)
    return manifest
