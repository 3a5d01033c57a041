"""Sign anew what is about to expire. Run it on a timer: within the first half of a validity it changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_release.trust.published import load
from ec_release.trust.roles import ONLINE, Role
from ec_release.trust.update import Versions, current, write

if TYPE_CHECKING:
    from datetime import datetime

    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.trust.update import Signing


@dataclass(frozen=True)
class Refreshed:
    """Which roles were signed anew, the versions now, and when the root expires, which only people can renew."""

    signed: tuple[Role, ...]
    versions: Versions
    root_expires: datetime
    root_due: bool


def refresh(backend: ReleaseBackend, signing: Signing, pinned: bytes, *, force: bool = False) -> Refreshed:
    """Sign each online role anew of whose validity less than half is left; with *force* the timestamp in any case."""
    with backend.locked():
        published = load(backend, pinned)
        expires = {
            "targets": published.targets.signed.expires,
            "snapshot": published.snapshot.signed.expires,
            "timestamp": published.timestamp.signed.expires,
        }
        due = {role for role in ONLINE if signing.periods.due(role, expires[role], signing.time)}
        if force:
            due.add("timestamp")
        versions = write(backend, published, signing, resign=due) if due else current(published)
        before = current(published)
    signed: tuple[Role, ...] = tuple(role for role in ONLINE if getattr(versions, role) != getattr(before, role))
    root = published.root.signed
    return Refreshed(signed, versions, root.expires, signing.periods.due("root", root.expires, signing.time))
