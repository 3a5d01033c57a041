"""Sign metadata with the keys at hand, and say clearly which are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from ec_closure.errors import UsageError
from ec_release.errors import MissingKeysError
from ec_release.trust.roles import LIMITS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuf.api.metadata import VerificationResult

    from ec_release.trust.keys import KeyRing
    from ec_release.trust.roles import Role

T = TypeVar("T", Root, Targets, Snapshot, Timestamp)


def sign(signed: T, role: Role, roots: Sequence[Root], ring: KeyRing) -> Metadata[T]:
    """Return *signed* with a signature of every key on *ring* that one of *roots* accepts for *role*.

    During a rotation both the old and the new root are given, so that readers of either are served. Does not check
    thresholds: see `require`.
    """
    metadata: Metadata[T] = Metadata(signed)
    accepted = dict.fromkeys(keyid for root in roots for keyid in root.roles[role].keyids)
    for keyid in accepted:
        if keyid in ring.signers:
            metadata.sign(ring.signers[keyid], append=True)
    return metadata


def verify(metadata: Metadata[T], role: Role, root: Root) -> VerificationResult:
    """Return which keys of *root* signed *metadata* as *role*."""
    return root.get_verification_result(role, metadata.signed_bytes, metadata.signatures)


def require(metadata: Metadata[T], role: Role, root: Root) -> Metadata[T]:
    """Return *metadata* if readers of *root* accept it as *role*. Raises `MissingKeysError`, `UsageError`."""
    size = len(metadata.to_bytes())
    if size > LIMITS[role]:
        raise UsageError(
            f"{role} metadata of {size} bytes, where readers accept {LIMITS[role]}",
            hint="there are too many assets: begin a new repository, and pin its root in new images",
        )
    result = verify(metadata, role, root)
    if not result:
        names = ", ".join(sorted(short(keyid) for keyid in result.unsigned))
        raise MissingKeysError(
            f"{result.missing} more keys of the {role} role are needed, of: {names}",
            hint="name the directory that holds them with --keys, which may be given more than once",
        )
    return metadata


def require_keys(roles: Sequence[Role], root: Root, ring: KeyRing) -> None:
    """Raise `MissingKeysError` unless *ring* can sign for all of *roles*: before anything is changed."""
    for role in roles:
        wanted = root.roles[role]
        absent = [keyid for keyid in wanted.keyids if keyid not in ring.signers]
        if len(wanted.keyids) - len(absent) < wanted.threshold:
            names = ", ".join(sorted(short(keyid) for keyid in absent))
            raise MissingKeysError(
                f"too few keys of the {role} role at hand; missing: {names}",
                hint="name the directory that holds them with --keys, which may be given more than once",
            )


def short(keyid: str) -> str:
    """Return the part of a key identifier that people compare."""
    return keyid[:16]
