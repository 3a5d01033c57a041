"""Change the root: propose, collect signatures, apply.

Root keys are not on the machine that publishes. A proposal is therefore a file, `pending-root.json`, in the form of the
published root but with fewer signatures; people carry it to their keys and back. It holds no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure import files
from ec_release.errors import CeremonyError
from ec_release.trust.proposal import Summary, successor, summarise
from ec_release.trust.published import load, load_root, parse
from ec_release.trust.roles import ONLINE, Role
from ec_release.trust.signing import sign, verify
from ec_release.trust.update import Versions, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tuf.api.metadata import Metadata, Root

    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.trust.published import Published
    from ec_release.trust.update import Signing

PENDING = "pending-root.json"
_MAX_ROOT = 256 << 10


@dataclass(frozen=True)
class Applied:
    """What applying did. *root* is the newest root's bytes; *signed* are the roles that were signed anew."""

    root: bytes
    signed: tuple[Role, ...]
    versions: Versions


def propose(
    backend: ReleaseBackend, signing: Signing, pinned: bytes, pending: Path, edit: Callable[[Root], object]
) -> Summary:
    """Write a proposal to *pending*: the current root as *edit* changes it, signed with the root keys at hand.

    Raises `CeremonyError` when a proposal lies there already.
    """
    if pending.exists():
        raise CeremonyError(
            "a proposal is pending already",
            place=str(pending),
            hint="finish it with `ec-release trust sign` and `trust apply`, or remove the file",
        )
    with backend.locked():
        current = load_root(backend, pinned)[-1]
        root = successor(current.signed, signing.time, signing.periods)
        edit(root)
        proposal = sign(root, "root", [current.signed, root], signing.ring)
        write_pending(pending, proposal)
    return summarise(proposal, current)


def apply(backend: ReleaseBackend, signing: Signing, pinned: bytes, pending: Metadata[Root]) -> Applied:
    """Publish the root *pending* and sign anew whatever its keys did not sign.

    Run again after an interruption it continues. What is signed anew is what is published now, also if a key signed it
    that is being revoked: look at it first when the key was stolen. Raises `CeremonyError` for missing signatures,
    `MissingKeysError` when the new keys of the online roles are not at hand.
    """
    with backend.locked():
        published = load(backend, pinned, handover=True)
        newest = published.root
        new: Metadata[Root] | None = None
        if newest.signed.version != pending.signed.version or newest.signed_bytes != pending.signed_bytes:
            summary = summarise(pending, newest)
            if not summary.complete:
                raise CeremonyError(
                    f"{summary.missing} more signatures are needed", place="pending root", hint=_who(summary)
                )
            new = newest = pending
        stale = _stale(published, newest.signed)
        versions = write(backend, published, signing, resign=stale, root=new)
    return Applied(newest.to_bytes(), tuple(role for role in ONLINE if role in stale), versions)


def read_pending(path: Path) -> Metadata[Root]:
    """Return the proposal in *path*. Raises `CeremonyError`, `PublishedMetadataError`."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_ROOT)
    except OSError as error:
        raise CeremonyError(f"cannot be read: {error.strerror}", place=str(path)) from error
    return parse(data, "root", str(path))


def write_pending(path: Path, proposal: Metadata[Root]) -> None:
    """Write *proposal* to *path*, whole or not at all."""
    with files.replacing(path, mode=0o644) as file:
        file.write(proposal.to_bytes())


def _stale(published: Published, root: Root) -> set[Role]:
    stale: set[Role] = set()
    if not verify(published.targets, "targets", root):
        stale.add("targets")
    if not verify(published.snapshot, "snapshot", root):
        stale.add("snapshot")
    if not verify(published.timestamp, "timestamp", root):
        stale.add("timestamp")
    return stale


def _who(summary: Summary) -> str:
    return f"`ec-release trust sign` with any of the keys {', '.join(summary.may_sign)}"
