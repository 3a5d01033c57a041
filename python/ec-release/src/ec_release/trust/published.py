"""What is published, read back and verified from the pinned root before anything is signed on top of it.

A release server can be tampered with. A publisher that signed what it found there would launder it.
Expiry is not looked at: signing anew is the remedy for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from ec_closure import strict_json
from ec_closure.errors import BadInputError, UsageError
from ec_release.errors import PublishedMetadataError
from ec_release.trust.signing import verify

if TYPE_CHECKING:
    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.trust.roles import Role

_MAX = 16 << 20
_NUMBERED = re.compile(r"([1-9][0-9]{0,9})\.([a-z]+)\.json")


@dataclass(frozen=True)
class Published:
    """The current metadata. *older* is the chain of roots before *root*, oldest first."""

    root: Metadata[Root]
    older: tuple[Metadata[Root], ...]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]


def load_root(backend: ReleaseBackend, pinned: bytes) -> list[Metadata[Root]]:
    """Return the chain of roots from the *pinned* one to the newest. Raises `PublishedMetadataError`."""
    root = parse(pinned, "root", "pinned root")
    if not verify(root, "root", root.signed):
        raise PublishedMetadataError("is not signed by its own keys", place="pinned root")
    chain = [root]
    names = backend.metadata_names()
    while (name := f"{root.signed.version + 1}.root.json") in names:
        following = parse(backend.read_metadata(name), "root", name)
        if following.signed.version != root.signed.version + 1 or not following.signed.get_root_verification_result(
            root.signed, following.signed_bytes, following.signatures
        ):
            raise PublishedMetadataError("does not follow from the pinned root", place=name)
        root = following
        chain.append(root)
    return chain


def load(backend: ReleaseBackend, pinned: bytes, *, handover: bool = False) -> Published:
    """Return what is published. With *handover*, what an earlier root of the chain accepts is accepted too.

    Only the ceremony that changes keys may ask for *handover*: anybody else would sign again what a revoked key
    signed. Raises `PublishedMetadataError`, `UsageError` when nothing was published yet.
    """
    if "timestamp.json" not in backend.metadata_names():
        raise UsageError("nothing is published here yet", hint="`ec-release trust init` comes first")
    chain = load_root(backend, pinned)
    roots = chain if handover else chain[-1:]
    timestamp = _load(backend, "timestamp.json", "timestamp", roots)
    name = f"{timestamp.signed.snapshot_meta.version}.snapshot.json"
    snapshot = _load(backend, name, "snapshot", roots)
    _belongs(timestamp.signed.snapshot_meta, backend.read_metadata(name), snapshot.signed.version, name)
    meta = snapshot.signed.meta.get("targets.json")
    if meta is None:
        raise PublishedMetadataError("lists no targets", place=name)
    name = f"{meta.version}.targets.json"
    targets = _load(backend, name, "targets", roots)
    _belongs(meta, backend.read_metadata(name), targets.signed.version, name)
    return Published(chain[-1], tuple(chain[:-1]), timestamp, snapshot, targets)


def next_version(backend: ReleaseBackend, role: Role) -> int:
    """Return the first version of *role* whose name was never used, also not by an interrupted publisher."""
    taken = [
        int(match[1]) for name in backend.metadata_names() if (match := _NUMBERED.fullmatch(name)) and match[2] == role
    ]
    return max(taken, default=0) + 1


def parse(data: bytes, role: str, place: str) -> Metadata[Any]:
    """Return the metadata in *data*; it must be of *role* and have one reading. Raises `PublishedMetadataError`."""
    try:
        strict_json.decode(data, dict[str, Any], what=place, max_bytes=_MAX, max_depth=16)
        metadata: Metadata[Any] = Metadata.from_bytes(data)
    except (BadInputError, RepositoryError) as error:
        raise PublishedMetadataError(f"malformed: {error}", place=place) from error
    if metadata.signed.type != role:
        raise PublishedMetadataError(f"is {metadata.signed.type} metadata where {role} is expected", place=place)
    return metadata


def _load(backend: ReleaseBackend, name: str, role: Role, roots: list[Metadata[Root]]) -> Metadata[Any]:
    metadata = parse(backend.read_metadata(name), role, name)
    if not any(verify(metadata, role, root.signed) for root in roots):
        raise PublishedMetadataError(
            "is not signed by the keys that the current root accepts",
            place=name,
            hint="if a key change was interrupted, run `ec-release trust apply` again; else somebody changed it",
        )
    return metadata


def _belongs(meta: Any, data: bytes, version: int, name: str) -> None:
    try:
        meta.verify_length_and_hashes(data)
    except RepositoryError as error:
        raise PublishedMetadataError(f"is not what is signed: {error}", place=name) from error
    if meta.version != version:
        raise PublishedMetadataError(f"holds version {version}", place=name)
