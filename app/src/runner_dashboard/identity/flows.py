"""What was begun and waits for a browser to come back with the rest: kept here, found by a secret, good for once.

A sign-in at another service and a challenge to a passkey are both such. Strangers may begin them, so there is a limit.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import delete, func, insert, select

from runner_dashboard.data.tables import flows
from runner_dashboard.refusals import BusyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection

Purpose = Literal["provider", "passkey", "new passkey"]

LIFETIME: Final = 600
_WAITING: Final = 2000


def begin(connection: Connection, now: int, purpose: Purpose, data: Mapping[str, Any]) -> str:
    """Keep *data* for ten minutes and return the secret that finds them. Raises `BusyError` when too many wait."""
    connection.execute(delete(flows).where(flows.c.expires_at <= now))
    if (connection.execute(select(func.count()).select_from(flows)).scalar() or 0) >= _WAITING:
        raise BusyError("too many sign-ins were begun and not ended", hint="try again in ten minutes")
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(flows).values(id_hash=_hash(secret), purpose=purpose, data=json.dumps(data), expires_at=now + LIFETIME)
    )
    return secret


def take(connection: Connection, now: int, purpose: Purpose, secret: str) -> dict[str, Any] | None:
    """Return what was kept under *secret*, once; None when it is unknown, used, too old, or for another *purpose*."""
    which = (flows.c.id_hash == _hash(secret), flows.c.purpose == purpose)
    row = connection.execute(select(flows).where(*which)).first()
    if row is None:
        return None
    taken = connection.execute(delete(flows).where(*which)).rowcount
    if not taken or row.expires_at <= now:
        return None
    kept: dict[str, Any] = json.loads(row.data)
    return kept


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
