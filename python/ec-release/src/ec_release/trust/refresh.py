"""Sign anew what is about to expire. Run it on a timer: within the first half of a validity it changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_release.trust.published import load
from ec_release.trust.roles import ONLINE, Role
from ec_release.trust.update import Versions, current, write

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.trust.update import Signing


@dataclass(frozen=True)
class Refreshed:
    """Which roles were signed anew, the versions now, and when the root expires, which only people can renew.

    *left* are roles that are due and were not to be signed here. *expires* says when each role does, now.
    """

    signed: tuple[Role, ...]
    versions: Versions
    root_expires: datetime
    root_due: bool
    left: tuple[Role, ...]
    expires: dict[Role, datetime]

    def urgent(self, until: datetime) -> dict[Role, datetime]:
        """Return what expires before *until* and was not to be signed here: the root, and what is *left*."""
        return {role: at for role, at in self.expires.items() if role in ("root", *self.left) and at < until}


def refresh(
    backend: ReleaseBackend,
    signing: Signing,
    pinned: bytes,
    *,
    force: bool = False,
    roles: Collection[Role] = ONLINE,
) -> Refreshed:
    """Sign each of *roles* anew of whose validity less than half is left; with *force* the timestamp in any case.

    What refers to a role is signed along with it, so that *roles* without the timestamp make no sense.
    """
    with backend.locked():
        published = load(backend, pinned)
        expires: dict[Role, datetime] = {
            "targets": published.targets.signed.expires,
            "snapshot": published.snapshot.signed.expires,
            "timestamp": published.timestamp.signed.expires,
        }
        overdue = {role for role in ONLINE if signing.periods.due(role, expires[role], signing.time)}
        due = overdue & set(roles)
        if force:
            due.add("timestamp")
        versions = write(backend, published, signing, resign=due) if due else current(published)
        before = current(published)
    signed: tuple[Role, ...] = tuple(role for role in ONLINE if getattr(versions, role) != getattr(before, role))
    root = published.root.signed
    return Refreshed(
        signed,
        versions,
        root.expires,
        signing.periods.due("root", root.expires, signing.time),
        left=tuple(role for role in ONLINE if role in overdue - set(signed)),
        expires={
            "root": root.expires,
            **{
                role: signing.periods.expiry(role, signing.time) if role in signed else expires[role] for role in ONLINE
            },
        },
    )
