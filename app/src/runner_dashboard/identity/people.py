"""People whom another service vouches for: remembered by what that service calls them for ever, not by their name."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import insert, select, update

from runner_dashboard.data.tables import people

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from runner_dashboard.identity.rights import Rights
    from runner_dashboard.identity.roles import Role

MAX_TEXT: Final = 200
MAX_GROUPS: Final = 500


@dataclass(frozen=True)
class Known:
    """Whom a service names: *subject* never changes and is never given to another; *login* is what lists are about."""

    subject: str
    login: str
    name: str
    groups: tuple[str, ...] = ()


def remember(connection: Connection, now: int, provider: str, known: Known) -> str:
    """Note who signed in and return their identifier, the same for one *subject* of one *provider*."""
    values = {
        "login": known.login, "name": known.name, "groups": json.dumps(sorted(set(known.groups))), "last_seen": now,
    }  # fmt: skip
    which = (people.c.provider == provider, people.c.subject == known.subject)
    found = connection.execute(select(people.c.id).where(*which)).scalar()
    if found is not None:
        connection.execute(update(people).where(people.c.id == found).values(**values))
        return str(found)
    made = secrets.token_hex(8)
    connection.execute(
        insert(people).values(id=made, provider=provider, subject=known.subject, first_seen=now, **values)
    )
    return made


def find(connection: Connection, person: str) -> Row[Any] | None:
    """Return the row of a person."""
    return connection.execute(select(people).where(people.c.id == person)).first()


def role(row: Row[Any], provider: str, rights: Rights) -> Role | None:
    """Return what a person may now: nothing when they came from another *provider* than is configured."""
    return rights.role(row.login, json.loads(row.groups)) if row.provider == provider else None


def clipped(text: object, what: Literal["login", "name", "group"]) -> str | None:
    """Return *text* when it can be the name of somebody, None else: a name is printed, compared and kept.

    A display name (*what* `name`) is cut; one that is compared is not: a cut one could be another's.
    """
    if not isinstance(text, str) or not text.strip() or not text.isprintable():
        return None
    if what == "name":
        return text.strip()[:MAX_TEXT]
    return text if len(text) <= MAX_TEXT and text == text.strip() else None
