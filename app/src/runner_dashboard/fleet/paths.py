"""Path by path: what one report says of the paths of its manifest, and what the fleet says of those of a release."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, get_args

import msgspec
from sqlalchemy import func, select

from ec_closure.errors import BadInputError
from ec_closure.report import PathVerdict, unpack_verdicts
from runner_dashboard.data.tables import nodes, reports
from runner_dashboard.fleet import manifests
from runner_dashboard.fleet.manifests import Kept
from runner_dashboard.refusals import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection

    from runner_dashboard.fleet.manifests import Listed

VERDICTS: Final[tuple[str, ...]] = get_args(PathVerdict)
MAX_PAGE: Final = 500
_KINDS_OF_NODES: Final = 500
"""How many different lists of verdicts are looked at: nodes that saw the same have the same list."""
TROUBLED: Final = ("corrupt", "missing", "unreproducible", "inherited", "unbuildable")
_GRAVITY: Final = {
    word: rank for rank, word in enumerate((*TROUBLED, "unchecked", "unchanged", "matches", "fixed", "rebuilt"))
}


class PathLine(msgspec.Struct, frozen=True):
    """What a report says of one path. *position* is that in the manifest."""

    position: int
    path: str
    verdict: str
    nar_hash: str
    nar_size: int
    origin: str


class PathPage(msgspec.Struct, frozen=True):
    """Some paths of a report: *total* match what was asked for; *next* asks for more (None: there are no more)."""

    total: int
    counts: dict[str, int]
    lines: list[PathLine]
    next: int | None


class Reproduced(msgspec.Struct, frozen=True):
    """What the fleet says of one path: how many nodes have which verdict."""

    path: str
    origin: str
    nar_size: int
    verdicts: dict[str, int]


class Reproducibility(msgspec.Struct, frozen=True, kw_only=True):
    """A release over the fleet, by the newest reports of *nodes* enrolled nodes that run it.

    *causes* are paths that somebody rebuilt from the signed inputs with other bytes; *inherited* differ only because an
    input did; *broken* are corrupt, missing or unbuildable somewhere. *rebuilt* and *never* count paths: reproduced by
    somebody, and rebuilt by nobody. *left_out* nodes were not looked at, since too many lists differ.
    """

    manifest: Kept
    nodes: int
    left_out: int
    rebuilt: int
    fixed: int
    never: int
    causes: list[Reproduced]
    inherited: list[Reproduced]
    broken: list[Reproduced]


def of_report(connection: Connection, digest: str, *, verdict: str, text: str, after: int, limit: int) -> PathPage:
    """Return up to *limit* paths of the report *digest*, from the position *after* on, the gravest first.

    Raises `NotFoundError` for a report, or a manifest, that is not kept.
    """
    row = connection.execute(
        select(reports.c.manifest_digest, reports.c.verdicts).where(reports.c.digest == digest)
    ).first()
    if row is None:
        raise NotFoundError("no such report")
    listed = _listed(connection, row.manifest_digest)
    words = _unpacked(row.verdicts, len(listed))
    found = [
        PathLine(position, one.path, word, one.nar_hash, one.nar_size, one.origin)
        for position, (one, word) in enumerate(zip(listed, words, strict=True))
        if (not verdict or word == verdict) and (not text or text in one.path)
    ]
    found.sort(key=lambda line: (_GRAVITY[line.verdict], line.path))
    page = found[after : after + limit]
    following = after + limit if after + limit < len(found) else None
    return PathPage(len(found), dict(Counter(words)), page, following)


def of_release(connection: Connection, digest: str) -> Reproducibility:
    """Return what the fleet says of the release with the manifest *digest*. Raises `NotFoundError`."""
    kept = manifests.find(connection, digest)
    listed = _listed(connection, digest)
    query = (
        select(reports.c.verdicts, func.count().label("nodes"))
        .join_from(nodes, reports, nodes.c.current_report == reports.c.id)
        .where(nodes.c.state == "enrolled", reports.c.manifest_digest == digest)
        .group_by(reports.c.verdicts)
        .order_by(func.count().desc(), reports.c.verdicts)
    )
    groups = connection.execute(query).all()
    looked = groups[:_KINDS_OF_NODES]
    tallies = _tallies([(row.verdicts, row.nodes) for row in looked], len(listed))
    lines = [
        Reproduced(one.path, one.origin, one.nar_size, dict(tally)) for one, tally in zip(listed, tallies, strict=True)
    ]

    def of(*words: str) -> list[Reproduced]:
        chosen = [line for line in lines if any(word in line.verdicts for word in words)]
        return sorted(chosen, key=lambda line: (-sum(line.verdicts.get(word, 0) for word in words), line.path))

    causes = of("unreproducible")
    seen = {line.path for line in causes}
    return Reproducibility(
        manifest=kept,
        nodes=sum(row.nodes for row in groups),
        left_out=sum(row.nodes for row in groups[_KINDS_OF_NODES:]),
        rebuilt=sum("rebuilt" in line.verdicts for line in lines),
        fixed=sum("fixed" in line.verdicts and "rebuilt" not in line.verdicts for line in lines),
        never=sum(not {"rebuilt", "fixed", "unreproducible", "inherited"} & line.verdicts.keys() for line in lines),
        causes=causes,
        # What is a cause on one node and inherited on another has a cause of its own.
        inherited=[line for line in of("inherited") if line.path not in seen],
        broken=of("corrupt", "missing", "unbuildable"),
    )


def _tallies(groups: Iterable[tuple[str, int]], count: int) -> list[Counter[str]]:
    found: list[Counter[str]] = [Counter() for _ in range(count)]
    for packed, weight in groups:
        for tally, word in zip(found, _unpacked(packed, count), strict=True):
            tally[word] += weight
    return found


def _unpacked(packed: str, count: int) -> Sequence[str]:
    """Return one verdict for each of *count* paths; all unchecked where the report's list does not fit the manifest."""
    try:
        words = unpack_verdicts(packed)
    except BadInputError:
        words = []
    return words if len(words) == count else ["unchecked"] * count


def _listed(connection: Connection, digest: str) -> tuple[Listed, ...]:
    listed = manifests.paths(connection, digest) if digest else None
    if listed is None:
        raise NotFoundError(
            "the manifest of this report is not kept here", hint="see [releases] in docs/dashboard.md, or upload it"
        )
    return listed
