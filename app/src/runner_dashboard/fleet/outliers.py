"""Outliers: nodes of one release on which one path has other bytes than on their peers.

Shown whether or not anything is reproducible: peers that run the same release must have the same bytes on their disks.
A path that is missing, or that a verifier did not read to its end, has no hash: it is known by its finding.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import and_, exists, func, literal, select, union_all

from runner_dashboard.data.tables import differing, findings, nodes, reports

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

_ROWS = 5000
_PATHS = 200
_NODES = 50
_WITHOUT_HASH = {"EV201": "not hashed", "EV202": "missing"}
"""What findings say of a path for which there may be no hash."""


class Peer(msgspec.Struct, frozen=True):
    """A node, by identifier and name."""

    id: str
    name: str


class Group(msgspec.Struct, frozen=True):
    """Nodes that saw the same *value*, how many, and the first of them.

    It is a hash; of a path also `missing`, or `not hashed` where it differs so much that it was not read to its end.
    """

    value: str
    count: int
    nodes: list[Peer]


class Outlier(msgspec.Struct, frozen=True):
    """A path of the release *tag* that some nodes saw with other bytes than CI signed.

    *kind* is `disk`, or `rebuilt` for what nodes made of the signed inputs. *peers* nodes run the release; *others*
    holds those that differ, by what they saw, the fewest first. The rest reported no difference.
    """

    tag: str
    manifest_digest: str
    kind: str
    path: str
    peers: int
    others: list[Group]

    @property
    def differing(self) -> int:
        """How many nodes differ."""
        return sum(group.count for group in self.others)


class Divided(msgspec.Struct, frozen=True):
    """A release whose nodes do not agree on the digest over all paths of their stores: the largest group first."""

    tag: str
    manifest_digest: str
    groups: list[Group]


class Outliers(msgspec.Struct, frozen=True):
    """Paths that differ, those on the fewest nodes first, and releases that are divided. *cut*: there are more."""

    paths: list[Outlier]
    divided: list[Divided]
    cut: bool


def find(connection: Connection) -> Outliers:
    """Compare the newest reports of enrolled nodes, release by release."""
    current = nodes.join(reports, nodes.c.current_report == reports.c.id)
    enrolled = (nodes.c.state == "enrolled", reports.c.manifest_digest != "")
    counted = select(reports.c.manifest_digest, func.count()).select_from(current).where(*enrolled)
    peers = dict(connection.execute(counted.group_by(reports.c.manifest_digest)).tuples().all())
    rows = connection.execute(_seen(current, enrolled)).all()
    by_path: dict[tuple[str, str, str, str], dict[str, list[Peer]]] = defaultdict(lambda: defaultdict(list))
    for row in rows[:_ROWS]:
        key = (row.tag, row.manifest_digest, row.kind, row.path)
        by_path[key][row.nar_hash].append(Peer(row.id, row.name))
    paths = [
        Outlier(tag, digest, kind, path, peers.get(digest, 0), sorted(_groups(values), key=lambda one: one.count))
        for (tag, digest, kind, path), values in by_path.items()
    ]
    paths.sort(key=lambda one: (one.differing, one.kind, one.tag, one.path))
    return Outliers(paths[:_PATHS], _divided(connection, current, enrolled), len(rows) > _ROWS or len(paths) > _PATHS)


def _seen(current: Any, enrolled: tuple[Any, ...]) -> Any:
    """Return the query for paths that differ: by their hashes, and by findings where there is none."""
    columns = (reports.c.manifest_digest, reports.c.tag, nodes.c.id, nodes.c.name)
    hashed = (
        select(*columns, differing.c.kind, differing.c.path, differing.c.nar_hash)
        .select_from(current.join(differing, differing.c.report_id == reports.c.id))
        .where(*enrolled)
    )
    same = and_(
        differing.c.report_id == findings.c.report_id, differing.c.path == findings.c.path, differing.c.kind == "disk"
    )
    told = [
        select(*columns, literal("disk"), findings.c.path, literal(word))
        .select_from(current.join(findings, findings.c.report_id == reports.c.id))
        .where(*enrolled, findings.c.code == code, findings.c.path.is_not(None), ~exists().where(same))
        for code, word in _WITHOUT_HASH.items()
    ]
    both = union_all(hashed, *told).subquery()
    return select(both).order_by(both.c.path).limit(_ROWS + 1)


def _divided(connection: Connection, current: Any, enrolled: tuple[Any, ...]) -> list[Divided]:
    split = (
        select(reports.c.manifest_digest)
        .select_from(current)
        .where(*enrolled, reports.c.observed_digest != "")
        .group_by(reports.c.manifest_digest)
        .having(func.count(reports.c.observed_digest.distinct()) > 1)
    )
    query = (
        select(reports.c.manifest_digest, reports.c.tag, reports.c.observed_digest, nodes.c.id, nodes.c.name)
        .select_from(current)
        .where(*enrolled, reports.c.observed_digest != "", reports.c.manifest_digest.in_(split))
    )
    found: dict[tuple[str, str], dict[str, list[Peer]]] = defaultdict(lambda: defaultdict(list))
    for row in connection.execute(query):
        found[row.tag, row.manifest_digest][row.observed_digest].append(Peer(row.id, row.name))
    return [
        Divided(tag, digest, sorted(_groups(values), key=lambda one: -one.count))
        for (tag, digest), values in sorted(found.items())
    ]


def _groups(values: dict[str, list[Peer]]) -> Iterable[Group]:
    for value, members in values.items():
        yield Group(value, len(members), sorted(members, key=lambda one: (one.name, one.id))[:_NODES])
