"""The list of nodes: filtered, sorted, searched, and paged by where the last page ended, not by counting."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, func, or_, select

from runner_dashboard.data.tables import nodes, suspicions
from runner_dashboard.refusals import MalformedError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

STATES: Final = ("enrolled", "pending", "retired")
VERDICTS: Final = ("", "passed", "failed", "undecided", "none")
SORTS: Final = ("name", "silent", "recent", "release", "trouble")
MAX_PAGE: Final = 200
_MAX_CURSOR = 2000


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node, with what its newest report says. *name* is ours, *claimed_name* its own.

    Times are seconds since 1970, 0 for never. *verdict*, *level*, *tag* and *toplevel* are empty before the first
    report.
    *suspicions* counts what the dashboard itself suspects.
    """

    id: str
    name: str
    claimed_name: str
    state: str
    public_key: str
    first_seen: int
    last_received: int
    last_fresh: int
    silent: bool
    verdict: str
    level: str
    tag: str
    version: int
    toplevel: str
    fails: int
    warns: int
    suspicions: int


class NodePage(msgspec.Struct, frozen=True):
    """Nodes, how many match in all, and what to ask with for the next page (None: there is none)."""

    nodes: list[Node]
    total: int
    next: str | None


@dataclass(frozen=True)
class Filter:
    """Which nodes. Empty texts match all; *verdict* `none` means no report yet; *silent* only those that are."""

    state: str = "enrolled"
    verdict: str = ""
    tag: str = ""
    text: str = ""
    silent: bool = False


def page(connection: Connection, chosen: Filter, *, sort: str, limit: int, after: str, silent_before: int) -> NodePage:
    """Return up to *limit* nodes that match, beginning after the cursor *after*.

    A node is silent that was last heard before *silent_before*. Raises `MalformedError` for a cursor that is none.
    """
    where = _where(chosen, silent_before)
    column, descending = _order(sort)
    query = select(nodes, _suspected().label("suspicions")).where(*where)
    if after:
        value, node = _cursor(after, column)
        beyond = column < value if descending else column > value
        query = query.where(or_(beyond, and_(column == value, nodes.c.id > node)))
    query = query.order_by(column.desc() if descending else column, nodes.c.id).limit(limit + 1)
    rows = connection.execute(query).all()
    total = connection.execute(select(func.count()).select_from(nodes).where(*where)).scalar() or 0
    shown = rows[:limit]
    following = None
    if len(rows) > limit:
        last = shown[-1]
        following = _encoded([getattr(last, column.name), last.id])
    return NodePage([line(row, silent_before) for row in shown], total, following)


def line(row: Row[Any], silent_before: int) -> Node:
    """Return the node of a row that has its number of suspicions, too."""
    names = [name for name in Node.__struct_fields__ if name not in ("silent", "suspicions")]
    return Node(
        **{name: getattr(row, name) for name in names},
        silent=row.state == "enrolled" and row.last_received <= silent_before,
        suspicions=row.suspicions,
    )


def find(connection: Connection, node: str, silent_before: int) -> Node | None:
    """Return the node with the identifier *node*."""
    row = connection.execute(select(nodes, _suspected().label("suspicions")).where(nodes.c.id == node)).first()
    return None if row is None else line(row, silent_before)


def tags(connection: Connection) -> list[str]:
    """Return the tags that nodes run, the newest release first."""
    query = select(nodes.c.tag).where(nodes.c.tag != "").group_by(nodes.c.tag)
    return list(connection.execute(query.order_by(func.max(nodes.c.version).desc())).scalars())


def _suspected() -> Any:
    return select(func.count()).select_from(suspicions).where(suspicions.c.node_id == nodes.c.id).scalar_subquery()


def _where(chosen: Filter, silent_before: int) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = [nodes.c.state == chosen.state]
    if chosen.verdict:
        where.append(nodes.c.verdict == ("" if chosen.verdict == "none" else chosen.verdict))
    if chosen.tag:
        where.append(nodes.c.tag == chosen.tag)
    if chosen.silent:
        where.append(nodes.c.last_received <= silent_before)
    if chosen.text:
        text = chosen.text
        where.append(
            or_(
                nodes.c.name.icontains(text, autoescape=True),
                nodes.c.claimed_name.icontains(text, autoescape=True),
                nodes.c.toplevel.icontains(text, autoescape=True),
                nodes.c.id.istartswith(text, autoescape=True),
            )
        )
    return where


def _order(sort: str) -> tuple[Any, bool]:
    return {
        "name": (nodes.c.name, False),
        "silent": (nodes.c.last_received, False),
        "recent": (nodes.c.last_received, True),
        "release": (nodes.c.version, True),
        "trouble": (nodes.c.fails, True),
    }[sort]


def _encoded(position: list[Any]) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(position)).decode()


def _cursor(text: str, column: Any) -> tuple[Any, str]:
    try:
        value, node = msgspec.json.decode(
            base64.b64decode(text[:_MAX_CURSOR], altchars=b"-_", validate=True), type=tuple[str | int, str]
        )
    except (ValueError, msgspec.DecodeError) as error:
        raise MalformedError("after is not what a page named as the next", hint="begin without it") from error
    if not isinstance(value, column.type.python_type):
        raise MalformedError("after belongs to another order", hint="begin without it")
    return value, node
