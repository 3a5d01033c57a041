"""Telling another service: one POST for each beginning and each end, signed, tried again for a day.

    POST <url>
    X-Runner-Dashboard-Delivery: <identifier, the same each time this is tried>
    X-Runner-Dashboard-Timestamp: <seconds since 1970>
    X-Runner-Dashboard-Signature: sha256=<HMAC-SHA256 of "<timestamp>.<body>" with the secret, in hexadecimal>

The receiver checks the signature and that the timestamp is recent, and passes over deliveries that it has seen: an
answer may be lost.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

import httpx2
import msgspec
from sqlalchemy import select, update

from runner_dashboard.alarms.alarm import Alarm, as_value
from runner_dashboard.data.tables import alarms, deliveries, nodes

if TYPE_CHECKING:
    from sqlalchemy import Connection

PATIENCE: Final = 86_400
"""Seconds after which a message is given up: whoever reads it then is told something that is over."""
_HELD: Final = 120
"""Seconds for which a message that somebody is sending is nobody else's."""
_BATCH: Final = 20
_LONGEST: Final = 3600
_TIMES: Final = httpx2.Timeout(10.0, connect=5.0)


class Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The body: *what* (`began` or `ended`) of which alarm, and where it is shown."""

    schema: str = "ec-runner.alarm.v1"
    delivery: str
    what: str
    alarm: Alarm
    link: str


class Letter(msgspec.Struct, frozen=True):
    """A message in line: its identifier, its body, how often it was tried, and when it was made."""

    id: str
    body: bytes
    attempts: int
    made_at: int


def take(connection: Connection, now: int, public_url: str) -> list[Letter]:
    """Return messages whose time has come, and keep other senders away from them for two minutes."""
    query = (
        select(deliveries.c.id.label("delivery"), deliveries.c.what, deliveries.c.attempts, deliveries.c.made_at)
        .add_columns(alarms, nodes.c.name)
        .join_from(deliveries, alarms)
        .join(nodes, nodes.c.id == alarms.c.node)
        .where(deliveries.c.sent_at.is_(None), deliveries.c.next_at <= now)
        .order_by(deliveries.c.made_at, deliveries.c.id)
        .limit(_BATCH)
    )
    found = []
    for row in connection.execute(query).all():
        held = update(deliveries).where(
            deliveries.c.id == row.delivery, deliveries.c.sent_at.is_(None), deliveries.c.next_at <= now
        )
        if connection.execute(held.values(next_at=now + _HELD)).rowcount:
            alarm = as_value(row)
            link = f"{public_url}/nodes/{alarm.node}"
            message = Message(delivery=row.delivery, what=row.what, alarm=alarm, link=link)
            found.append(Letter(row.delivery, msgspec.json.encode(message), row.attempts, row.made_at))
    return found


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """Return what the receiver compares."""
    return f"sha256={hmac.new(secret, b'%d.' % timestamp + body, hashlib.sha256).hexdigest()}"


def send(url: str, secret: bytes, letter: Letter, now: int) -> str:
    """Send one message; return the empty text when it was taken, or what went wrong. The address is not in it."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "runner-dashboard",
        "X-Runner-Dashboard-Delivery": letter.id,
        "X-Runner-Dashboard-Timestamp": str(now),
        "X-Runner-Dashboard-Signature": signature(secret, now, letter.body),
    }
    try:
        with httpx2.stream(
            "POST", url, content=letter.body, headers=headers, timeout=_TIMES, follow_redirects=False
        ) as answer:
            return "" if answer.is_success else f"answered {answer.status_code}"
    except httpx2.HTTPError as error:
        return f"not reached ({type(error).__name__})"


def note(connection: Connection, now: int, letter: Letter, error: str) -> None:
    """Note what became of a message: sent, to be tried again later and later, or given up after a day."""
    which = update(deliveries).where(deliveries.c.id == letter.id)
    attempts = letter.attempts + 1
    if not error or now - letter.made_at >= PATIENCE:
        connection.execute(which.values(attempts=attempts, sent_at=now, error=error))
        return
    pause = min(10 * 2**letter.attempts, _LONGEST)
    connection.execute(which.values(attempts=attempts, next_at=now + pause, error=error))
