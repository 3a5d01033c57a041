"""The closure manifest: what CI says is inside one system, `<system>.closure.json.zst`.

One record for each path of the run-time closure, sorted by store path. References are positions in
that list, so that a manifest cannot refer to a path that it does not describe. The document itself
carries no signature: it is a TUF target, and whoever decodes one has verified it before.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from ec_closure import canonical
from ec_closure.errors import BadInputError
from ec_closure.record import Count, Record, Sha256, Sri, StorePathText, Text

MAX_COMPRESSED = 64 << 20
MAX_DECODED = 512 << 20
MAX_PATHS = 500_000


class ManifestError(BadInputError):
    """The manifest decodes, but what it says does not hold together."""

    code = "manifest"


class Release(Record, frozen=True, kw_only=True):
    """Which release this is. *version* only grows; *issued* is the commit's time, seconds since 1970."""

    tag: Text
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    issued: Count


class FlakeInput(Record, frozen=True, kw_only=True):
    """One locked input of the flake, as it lies in the store."""

    nar_hash: Sri
    store_path: StorePathText


class Source(Record, frozen=True, kw_only=True):
    """The flake that the system was built from: *lock_hash* is the SHA-256 of its flake.lock."""

    nar_hash: Sri
    store_path: StorePathText
    rev: Text | None = None
    lock_hash: Sha256 | None = None
    inputs: dict[str, FlakeInput] = {}


class System(Record, frozen=True, kw_only=True):
    """What was built: the flake attribute, its derivation and its output."""

    name: Text
    attr: Text
    platform: Text
    drv_path: StorePathText
    out_path: StorePathText
    specialisations: dict[str, StorePathText] = {}


class Builder(Record, frozen=True, kw_only=True):
    """With what it was built."""

    nix: Text
    sandbox: bool
    platform: Text


class PathRecord(Record, frozen=True, kw_only=True):
    """One store path. *references* are positions in the list of paths, ascending.

    *origin* says how CI came by it: `built` from *deriver* as its output *output*, `copied` from
    the source tree, or `substituted`, then *cache* names the key that vouched for it.
    """

    path: StorePathText
    nar_hash: Sri
    nar_size: Count
    references: tuple[int, ...] = ()
    ca: Text | None = None
    deriver: StorePathText | None = None
    output: Text | None = None
    origin: Literal["built", "copied", "substituted"]
    cache: Text | None = None


class BootFile(Record, frozen=True, kw_only=True):
    """A file that firmware or a boot loader reads, by its path inside the toplevel."""

    name: Text
    store_path: StorePathText
    sha256: Sha256
    size: Count


class Artifact(Record, frozen=True, kw_only=True):
    """A published file of the release."""

    name: Text
    sha256: Sha256
    size: Count
    store_path: StorePathText | None = None
    attr: Text | None = None


class Manifest(Record, frozen=True, kw_only=True):
    """What CI says is inside one system. *contents* lists what an image's store holds beyond the closure."""

    schema: Literal["ec-runner.closure-manifest.v1"] = "ec-runner.closure-manifest.v1"
    store_dir: Text = "/nix/store"
    release: Release
    source: Source
    system: System
    builder: Builder
    paths: tuple[PathRecord, ...]
    contents: tuple[PathRecord, ...] = ()
    boot: tuple[BootFile, ...] = ()
    artifacts: tuple[Artifact, ...] = ()

    def index(self) -> dict[str, int]:
        """Return the position of every path of the closure."""
        return {record.path: position for position, record in enumerate(self.paths)}

    def references_of(self, record: PathRecord) -> tuple[str, ...]:
        """Return the store paths that *record* refers to."""
        everything = self.paths + self.contents if self.contents else self.paths
        return tuple(everything[position].path for position in record.references)


def encode(manifest: Manifest) -> bytes:
    """Return the published bytes: canonical JSON in one zstd frame. Raises `ManifestError`."""
    validate(manifest)
    return canonical.compress(canonical.encode(manifest))


def decode(data: bytes, *, what: str = "manifest") -> Manifest:
    """Decode and validate a published manifest.

    Raises `LimitError`, `BadInputError` or `ManifestError`, each with its place. Does not verify
    where the bytes come from: they are a TUF target and verified before.
    """
    raw = canonical.decompress(data, what=what, max_bytes=MAX_DECODED)
    manifest = canonical.decode(raw, Manifest, what=what, max_bytes=MAX_DECODED)
    validate(manifest, what=what)
    return manifest


def validate(manifest: Manifest, *, what: str = "manifest") -> None:
    """Check what the types cannot say: order, range, closedness, and that nothing is in it without a reason."""
    paths = manifest.paths
    if len(paths) + len(manifest.contents) > MAX_PATHS:
        raise ManifestError(f"lists more than {MAX_PATHS} paths", place=what)
    if len(manifest.store_dir) > 1 and (not manifest.store_dir.startswith("/") or manifest.store_dir.endswith("/")):
        raise ManifestError(f"{manifest.store_dir!r} is no store directory", place=f"{what}: storeDir")
    _check_order(paths, f"{what}: paths", manifest.store_dir)
    _check_order(manifest.contents, f"{what}: contents", manifest.store_dir)
    _check_references(paths, len(paths), f"{what}: paths")
    _check_references(manifest.contents, len(paths) + len(manifest.contents), f"{what}: contents")
    names = {record.path: position for position, record in enumerate(paths)}
    roots = [manifest.system.out_path, *manifest.system.specialisations.values()]
    for root in roots:
        if root not in names:
            raise ManifestError(f"{root} is not among the paths", place=f"{what}: system")
    unreached = len(paths) - len(_reach([names[root] for root in roots], paths))
    if unreached:
        raise ManifestError(f"{unreached} paths are not reachable from the system", place=f"{what}: paths")
    for boot in manifest.boot:
        if boot.store_path not in names:
            raise ManifestError(f"{boot.store_path} is not among the paths", place=f"{what}: boot: {boot.name}")


def _check_order(records: tuple[PathRecord, ...], what: str, store_dir: str) -> None:
    previous = ""
    prefix = store_dir + "/"
    length = len(prefix)
    for position, record in enumerate(records):
        path = record.path
        if path <= previous:
            raise ManifestError(f"{path} is out of order or stands twice", place=f"{what}[{position}]")
        if not path.startswith(prefix) or path.find("/", length) != -1:
            raise ManifestError(f"{path} is not in {store_dir}", place=f"{what}[{position}]")
        if (record.output is None) != (record.deriver is None):
            raise ManifestError("deriver and output go together", place=f"{what}[{position}]")
        if record.origin == "built" and record.deriver is None:
            raise ManifestError("a built path without its derivation", place=f"{what}[{position}]")
        if (record.cache is None) != (record.origin != "substituted"):
            raise ManifestError("exactly the substituted paths name a cache", place=f"{what}[{position}]")
        previous = path


def _check_references(records: tuple[PathRecord, ...], count: int, what: str) -> None:
    for position, record in enumerate(records):
        references = record.references
        if references and (references[0] < 0 or references[-1] >= count):
            raise ManifestError("a reference points outside the list", place=f"{what}[{position}]")
        if any(map(int.__ge__, references, references[1:])):
            raise ManifestError("references are out of order", place=f"{what}[{position}]")


def _reach(roots: list[int], paths: tuple[PathRecord, ...]) -> set[int]:
    seen = set(roots)
    stack = list(seen)
    while stack:
        fresh = [position for position in paths[stack.pop()].references if position not in seen]
        seen.update(fresh)
        stack.extend(fresh)
    return seen
