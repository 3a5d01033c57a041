"""The two types of columns, for both databases: text, and whole numbers of 64 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import Dialect


class _PostgresText(TypeDecorator[str]):
    """Text in PostgreSQL: ordered by its bytes, as SQLite does, whatever the server's locale is.

    It cannot hold the character NUL, which nodes may write: that is kept as the sign for what cannot be shown. The
    envelope, which is evidence, is kept as it came.
    """

    impl = Text(collation="C")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return *value* as it can be kept."""
        del dialect
        return value.replace("\0", "\ufffd") if value is not None and "\0" in value else value


TEXT = Text().with_variant(_PostgresText(), "postgresql")
# SQLite numbers rows by itself only where the type is called INTEGER.
NUMBER = Integer().with_variant(BigInteger(), "postgresql")
