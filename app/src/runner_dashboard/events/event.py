"""Events: that something changed, never what. Whoever is told reads the database again.

They are told with the transaction that causes them: `emit` notes one in the connection, and the thread that writes
publishes what was noted after the commit, and forgets it when the work is undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from sqlalchemy import Connection

Kind = Literal["report", "finding", "node", "enrolment", "acknowledgement", "runner", "reset"]
KINDS: Final = ("report", "finding", "node", "enrolment", "acknowledgement", "runner", "reset")
_NOTED = "runner_dashboard.events"


class Happening(msgspec.Struct, frozen=True):
    """Something that happened, not numbered yet. *node* is an identifier, or empty where no node is concerned."""

    kind: Kind
    node: str
    at: int


class Event(msgspec.Struct, frozen=True):
    """Something that happened at *at* (seconds since 1970). *id* is greater than that of every event before.

    The kind `reset` says that events were missed and are kept no more: whoever is told loads everything again.
    """

    id: int
    kind: Kind
    node: str
    at: int


class Outlet(Protocol):
    """Where events go with the transaction that causes them."""

    def before_commit(self, connection: Connection, happenings: list[Happening]) -> None:
        """Do what belongs into the transaction."""

    def after_commit(self, happenings: list[Happening]) -> None:
        """Do what follows from it."""


def emit(connection: Connection, kind: Kind, node: str, at: int) -> None:
    """Note an event in the transaction of *connection*, to be published when it is committed."""
    noted(connection).append(Happening(kind, node, at))


def noted(connection: Connection) -> list[Happening]:
    """Return what was noted in the transaction of *connection*: the list itself."""
    info: dict[Any, Any] = connection.info
    found: list[Happening] = info.setdefault(_NOTED, [])
    return found
