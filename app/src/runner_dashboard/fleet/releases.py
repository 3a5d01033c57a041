"""Releases: how many nodes run each, and what they prove of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import case, func, select

from runner_dashboard.data.tables import nodes

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A release that enrolled nodes run, by their newest reports. An empty *tag* means: no trusted manifest.

    *nodes* run it; *passed*, *failed* and *undecided* of them say so; *silent* have not reported for too long, whatever
    they said last. *toplevels* counts the systems of it that run.
    """

    tag: str
    version: int
    nodes: int
    passed: int
    failed: int
    undecided: int
    silent: int
    toplevels: int


def adopted(connection: Connection, silent_before: int) -> list[Release]:
    """Return the releases that nodes run, the newest first."""

    def counting(condition: ColumnElement[bool]) -> ColumnElement[int]:
        return func.sum(case((condition, 1), else_=0))

    query = (
        select(
            nodes.c.tag,
            nodes.c.version,
            func.count().label("nodes"),
            *(counting(nodes.c.verdict == word).label(word) for word in ("passed", "failed", "undecided")),
            counting(nodes.c.last_received <= silent_before).label("silent"),
            func.count(nodes.c.toplevel.distinct()).label("toplevels"),
        )
        .where(nodes.c.state == "enrolled", nodes.c.verdict != "")
        .group_by(nodes.c.tag, nodes.c.version)
        .order_by(nodes.c.version.desc(), nodes.c.tag)
    )
    names = Release.__struct_fields__
    return [Release(**{name: getattr(row, name) for name in names}) for row in connection.execute(query)]
