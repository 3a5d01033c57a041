"""Keys that sign sessions and nonces: made by the dashboard, replaced in time, accepted while they are needed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from runner_dashboard.data.backend import exclusively
from runner_dashboard.data.tables import signing_keys

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from runner_dashboard.data.database import Database

ROTATION = 30 * 86_400
"""Seconds after which a new key signs."""
_SIZE = 32
_REREAD = 10
"""Seconds for which keys that did not fit are not read again."""


class SigningKeys:
    """The keys, newest first. The newest signs, and each is accepted for *accepted* seconds after it was replaced."""

    def __init__(self, database: Database, accepted: int) -> None:
        self._database = database
        self._accepted = accepted
        self._lock = threading.Lock()
        self._keys: list[tuple[int, bytes]] = []
        self._read_at = 0

    def mac(self, now: int, purpose: str, message: bytes) -> bytes:
        """Return the 32 bytes by which the newest key vouches for *message*, others for each *purpose*."""
        return _mac(self._current(now)[0], purpose, message)

    def verifies(self, now: int, purpose: str, message: bytes, mac: bytes) -> bool:
        """Whether one of the accepted keys vouches for *message* by *mac*, in constant time."""
        if _vouches(self._current(now), purpose, message, mac):
            return True
        # Another server of this database may have a key that is newer than ours. Strangers can make us ask, seldom.
        return self._database.shared and _vouches(self._current(now, older=_REREAD), purpose, message, mac)

    def _current(self, now: int, older: int | None = None) -> list[bytes]:
        """Return the keys; those that were read more than *older* seconds ago are read again."""
        with self._lock:
            again = older is not None and now - self._read_at > older
            if not self._keys or again or now - self._keys[0][0] >= ROTATION:
                self._keys = self._database.write(lambda connection: _rotated(connection, now, self._accepted))
                self._read_at = now
            return [key for _, key in self._keys]


def _rotated(connection: Connection, now: int, accepted: int) -> list[tuple[int, bytes]]:
    """Add a key when the newest is old, drop those that nobody needs any more, and return the rest, newest first."""
    exclusively(connection, "signing keys")
    connection.execute(delete(signing_keys).where(signing_keys.c.made_at < now - ROTATION - accepted - 1))
    newest = select(signing_keys.c.made_at).order_by(signing_keys.c.made_at.desc()).limit(1)
    made_at = connection.execute(newest).scalar()
    if made_at is None or now - made_at >= ROTATION:
        connection.execute(insert(signing_keys).values(secret=secrets.token_bytes(_SIZE), made_at=now))
    rows = connection.execute(select(signing_keys).order_by(signing_keys.c.made_at.desc(), signing_keys.c.id.desc()))
    return [(row.made_at, row.secret) for row in rows]


def _vouches(keys: list[bytes], purpose: str, message: bytes, mac: bytes) -> bool:
    return any([hmac.compare_digest(_mac(key, purpose, message), mac) for key in keys])  # noqa: C419 - always all


def _mac(key: bytes, purpose: str, message: bytes) -> bytes:
    # A key of its own for each purpose: what was made for one is nothing for another.
    derived = hmac.new(key, b"runner-dashboard " + purpose.encode(), hashlib.sha256).digest()
    return hmac.new(derived, message, hashlib.sha256).digest()
