"""Replacing `timestamp.json`, the one file of a release that changes: upload aside, delete the old, rename.

Between the last two steps there is none, and readers ask again. A publisher that is interrupted there has left a whole
new one aside, which the next publisher gives its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from ec_release.errors import BackendError
from ec_release.trust.roles import LIMITS

if TYPE_CHECKING:
    from ec_release.backend.forgejo.api import Attachment
    from ec_release.backend.forgejo.assets import ReleaseAssets
    from ec_release.backend.forgejo.lock import Lock

log = structlog.get_logger()

TIMESTAMP = "timestamp.json"
ASIDE = "timestamp.json.next"


def settled(trust: ReleaseAssets) -> dict[str, Attachment]:
    """Return the assets by name, with what lies aside as the timestamp where there is none: it was read back before.

    Raises `BackendError`.
    """
    found = trust.by_name()
    if TIMESTAMP not in found and ASIDE in found:
        found[TIMESTAMP] = found[ASIDE]
    return found


def heal(trust: ReleaseAssets) -> None:
    """Finish or undo what an interrupted publisher began. Only for whoever holds the lock. Raises `BackendError`.

    What lies aside is signed like everything else: whether it follows from the pinned root is seen when it is read.
    """
    found = trust.all()
    aside = [asset for asset in found if asset.name == ASIDE]
    whole = [] if any(asset.name == TIMESTAMP for asset in found) else [one for one in aside if _is_whole(trust, one)]
    for asset in aside:
        if asset not in whole[-1:]:
            trust.delete(asset)
    if whole:
        log.warning("finishing what an interrupted publisher began", asset=TIMESTAMP)
        trust.api.rename_asset(trust.release, whole[-1].id, TIMESTAMP)


def _is_whole(trust: ReleaseAssets, asset: Attachment) -> bool:
    """Tell whether *asset* is JSON to its end: the first timestamp of all may have been cut, and never read back."""
    data = bytearray()
    for chunk in trust.read(asset):
        data += chunk
        if len(data) > LIMITS["timestamp"]:
            return False
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def replace(trust: ReleaseAssets, data: bytes, lock: Lock, last_read: bytes | None) -> None:
    """Replace the timestamp by *data*, if it still is *last_read* (None: if there is none). Raises `BackendError`."""
    old = trust.by_name().get(TIMESTAMP)
    _check_unchanged(trust, old, last_read)
    trust.remove(ASIDE)
    aside = trust.add(ASIDE, len(data), lambda: iter((data,)))
    if b"".join(trust.read(aside)) != data:
        trust.delete(aside)
        raise BackendError(
            "reads back with other bytes than were uploaded",
            place=f"{trust.title}/{ASIDE}",
            hint="the old one is still in place; run the same command again",
        )
    lock.confirm()
    if old is not None:
        trust.delete(old)
    trust.api.rename_asset(trust.release, aside.id, TIMESTAMP)


def _check_unchanged(trust: ReleaseAssets, old: Attachment | None, last_read: bytes | None) -> None:
    now = None if old is None else b"".join(trust.read(old))
    if now != last_read:
        raise BackendError(
            "was changed by another publisher meanwhile",
            place=f"{trust.title}/{TIMESTAMP}",
            hint="run the same command again: it builds upon what is there now",
        )
