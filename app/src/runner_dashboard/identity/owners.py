"""Whose a session or a passkey is: an API token's, or a person's. Looked up again each time it is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from runner_dashboard.data.tables import tokens
from runner_dashboard.identity import people
from runner_dashboard.identity.roles import GRANTS, Principal
from runner_dashboard.identity.tokens import alive

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from runner_dashboard.identity.rights import Rights

_TOKEN: Final = "token:"  # noqa: S105 - a kind, no secret
_PERSON: Final = "person:"


def of_token(token_id: str) -> str:
    """Return the owner that the token *token_id* stands for."""
    return f"{_TOKEN}{token_id}"


def of_person(person: str) -> str:
    """Return the owner that the person *person* is."""
    return f"{_PERSON}{person}"


@dataclass(frozen=True)
class Owners:
    """Who may what: tokens by what stands with them, people of *provider* by *rights*. *label* stands before names."""

    provider: str
    label: str
    rights: Rights

    def principal(self, connection: Connection, now: int, owner: str, session: str | None = None) -> Principal | None:
        """Return whom *owner* stands for; None when the token ended, or the person may nothing any more."""
        kind, _, name = owner.partition(":")
        if f"{kind}:" == _TOKEN:
            row = connection.execute(select(tokens).where(tokens.c.id == name)).first()
            return None if row is None else alive(row, now, session)
        person = people.find(connection, name) if f"{kind}:" == _PERSON else None
        role = None if person is None else people.role(person, self.provider, self.rights)
        if person is None or role is None:
            return None
        return Principal(f"{self.label}/{person.login}", owner, role, GRANTS[role], session)
