"""Sessions of browsers: a signed cookie, a row that can be deleted, and a value that every form must bring back."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from runner_dashboard import audit
from runner_dashboard.data.tables import sessions

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from runner_dashboard.identity.keys import SigningKeys
    from runner_dashboard.identity.owners import Owners
    from runner_dashboard.identity.roles import Principal

_MAX_COOKIE = 200


class Sessions:
    """Sessions signed by *keys*, for *lifetime* seconds each. They end with what began them."""

    def __init__(self, keys: SigningKeys, lifetime: int) -> None:
        self._keys = keys
        self.lifetime = lifetime

    def cookie(self, now: int, session: str) -> str:
        """Return what the browser keeps: the identifier and our signature."""
        return f"{session}.{_text(self._keys.mac(now, 'session', session.encode()))}"

    def opened(self, now: int, cookie: str) -> str | None:
        """Return the session that *cookie* names, None when we did not sign it."""
        session, dot, mac = cookie.partition(".")
        if not dot or len(cookie) > _MAX_COOKIE or not cookie.isascii():
            return None
        return session if self._keys.verifies(now, "session", session.encode(), _bytes(mac)) else None

    def form_value(self, now: int, session: str) -> str:
        """Return the value that forms of this session bring back."""
        return _text(self._keys.mac(now, "form", session.encode()))

    def is_ours(self, now: int, session: str, value: str) -> bool:
        """Whether a form with *value* was handed to this session."""
        return value.isascii() and self._keys.verifies(now, "form", session.encode(), _bytes(value))

    def begin(self, connection: Connection, now: int, who: Principal) -> str:
        """Begin a session for *who* and return its identifier. It ends with what they signed in by."""
        connection.execute(delete(sessions).where(sessions.c.expires_at <= now))
        session = secrets.token_urlsafe(32)
        connection.execute(
            insert(sessions).values(
                id_hash=_hash(session), owner=who.owner, made_at=now, expires_at=now + self.lifetime
            )
        )
        audit.done(connection, now, actor=who.name, action="session.begin", subject=who.owner)
        return session

    def principal(self, connection: Connection, now: int, owners: Owners, session: str) -> Principal | None:
        """Return whose session it is, None when it ended."""
        row = connection.execute(select(sessions).where(sessions.c.id_hash == _hash(session))).first()
        if row is None or row.expires_at <= now:
            return None
        return owners.principal(connection, now, row.owner, session)

    def end(self, connection: Connection, now: int, who: Principal) -> None:
        """End the session of *who*."""
        connection.execute(delete(sessions).where(sessions.c.id_hash == _hash(who.session or "")))
        audit.done(connection, now, actor=who.name, action="session.end", subject=who.owner)


def _hash(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()


def _text(mac: bytes) -> str:
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    """Return what *text* encodes; what is not base64 becomes bytes that no signature equals."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""
