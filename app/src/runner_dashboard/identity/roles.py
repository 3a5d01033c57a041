"""Roles and scopes: what a route needs, and what somebody has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

Scope = Literal["read", "audit", "metrics", "enrol", "operate", "tokens"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "audit", "metrics", "enrol", "operate", "tokens")


class Role(IntEnum):
    """Who may use a route. Each may what those before it may, but a *node* is nobody who reads pages.

    *PUBLIC* is anybody. *NODE* is proven by the signature on what is sent, not by a token.
    """

    PUBLIC = 0
    NODE = 1
    VIEWER = 2
    OPERATOR = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """How it is written in tables and documents."""
        return self.name.lower()

    @classmethod
    def of(cls, word: str) -> Role:
        """Return the role of people called *word*. Raises `KeyError` for a role that no token can have."""
        return {role.word: role for role in PEOPLE}[word]


PEOPLE: Final = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)

GRANTS: Final[dict[Role, frozenset[Scope]]] = {
    Role.VIEWER: frozenset({"read", "metrics"}),
    Role.OPERATOR: frozenset({"read", "metrics", "enrol", "operate"}),
    Role.ADMIN: frozenset(SCOPES),
}
"""The scopes that a role may have at most."""


@dataclass(frozen=True)
class Principal:
    """Somebody who was recognised. *session* is the identifier of a browser's session, None for a bare token.

    *owner* is what they sign in by, and whose their passkeys are: see `runner_dashboard.identity.owners`.
    """

    name: str
    owner: str
    role: Role
    scopes: frozenset[Scope]
    session: str | None = None

    def may(self, role: Role, scope: Scope | None) -> bool:
        """Whether a route that needs *role* and *scope* is open to them."""
        return self.role >= role and (scope is None or scope in self.scopes & GRANTS[self.role])
