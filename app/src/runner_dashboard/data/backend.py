"""What differs between the two databases, for the rest of the program not to know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from sqlalchemy import text

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Engine

LOCKS = {"migration": 1, "events": 2, "signing keys": 3, "first token": 4, "compaction": 5}
_OURS = 0x52_44_42
"""What stands before the numbers of our advisory locks, so that they are nobody else's."""


@dataclass(frozen=True)
class Backend:
    """One database: *reads* and *writes* give connections, *place* names it without any secret.

    *writers* threads write, and each commits up to *batch* pieces of work at a time. *file* is SQLite's.
    """

    name: Literal["sqlite", "postgresql"]
    place: str
    reads: Engine
    writes: Engine
    writers: int
    batch: int
    file: Path | None = None

    @property
    def shared(self) -> bool:
        """Whether other servers may work with it at the same time."""
        return self.file is None


def exclusively(connection: Connection, what: str) -> None:
    """Let no other transaction pass here with the same *what*, of `LOCKS`, until this one ends.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:ours, :number)"), {"ours": _OURS, "number": LOCKS[what]})


def first(connection: Connection, what: str) -> bool:
    """Whether no other transaction has passed here with the same *what*; if so, none will until this one ends."""
    if connection.dialect.name != "postgresql":
        return True
    query = text("SELECT pg_try_advisory_xact_lock(:ours, :number)")
    return bool(connection.execute(query, {"ours": _OURS, "number": LOCKS[what]}).scalar_one())
