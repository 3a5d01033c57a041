"""A route, with what it needs. There is no other way into the application: a route without a rule cannot be written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from runner_dashboard.identity.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner_dashboard.identity.roles import Scope

MAX_BODY = 64 << 10
"""Bytes of a body, where a route does not say otherwise."""

Kind = Literal["page", "form", "api", "node", "ops"]
"""What answers look like, and where bodies come from: pages and their forms, JSON, nodes, tools of operators."""


@dataclass(frozen=True)
class Query:
    """A parameter of an address."""

    name: str
    about: str


@dataclass(frozen=True)
class Spec:
    """*method* and *path*, the *handler*, and the *role* and *scope* that it needs; *about* is a sentence.

    *body* and *answer* are types for the description of the API, *status* is what success is answered with. A route for
    people names a scope. Bodies are of *limit* bytes at most; one that is not JSON has another *media_type*.
    """

    method: Literal["GET", "POST"]
    path: str
    handler: Callable[..., Any]
    role: Role
    scope: Scope | None
    kind: Kind
    about: str
    body: Any = None
    answer: Any = None
    status: int = 200
    query: tuple[Query, ...] = ()
    limit: int = MAX_BODY
    media_type: str = "application/json"

    def __post_init__(self) -> None:
        if (self.role >= Role.VIEWER) != (self.scope is not None):
            raise ValueError(f"{self.path}: people need a role and a scope, others neither")

    @property
    def name(self) -> str:
        """How it is called in logs, metrics and the audit."""
        return f"{self.method} {self.path}"
