"""Closure manifests: which paths the letters of a report are about.

A report names its manifest by the SHA-256 of its bytes, which the node had verified. So a manifest needs no other proof
here than that hash: whoever brings it, it is the one that the report is about, or it is not taken for it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import insert, select

from ec_closure import manifest as closure
from ec_closure.errors import BadInputError
from runner_dashboard import audit
from runner_dashboard.data.tables import manifests, nodes, reports
from runner_dashboard.events.event import emit
from runner_dashboard.refusals import MalformedError, NotFoundError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

_REMEMBERED = 8
_LISTED = 1000
_WANTED = 100


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest that is kept: of which release and system, with how many paths. *digest* is that of its bytes."""

    digest: str
    tag: str
    version: int
    system: str
    toplevel: str
    paths: int
    added_at: int
    added_by: str


class Listed(msgspec.Struct, frozen=True):
    """One path of a manifest. *origin* is how CI came by it: `built`, `copied` or `substituted`."""

    path: str
    nar_hash: str
    nar_size: int
    origin: str


def keep(connection: Connection, now: int, data: bytes, *, by: str) -> Kept:
    """Keep a published manifest, once; return what it is of. Raises `MalformedError` for bytes that are none."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        read = closure.decode(data)
    except BadInputError as error:
        raise MalformedError(
            f"this is no closure manifest: {error}", hint="<system>.closure.json.zst of a release"
        ) from error
    found = connection.execute(select(manifests).where(manifests.c.digest == digest)).first()
    if found is None:
        values: dict[str, Any] = {
            "digest": digest, "tag": read.release.tag, "version": read.release.version, "system": read.system.name,
            "toplevel": read.system.out_path, "paths": len(read.paths), "added_at": now, "added_by": by,
        }  # fmt: skip
        connection.execute(insert(manifests).values(data=data, **values))
        audit.done(connection, now, actor=by, action="manifest.keep", subject=digest,
                   detail=f"{read.release.tag} {read.system.name}")  # fmt: skip
        emit(connection, "report", "", now)
        return Kept(**values)
    return _as_value(found)


def listed(connection: Connection) -> list[Kept]:
    """Return the manifests that are kept, the newest release first."""
    columns = [column for column in manifests.c if column.name != "data"]
    query = select(*columns).order_by(manifests.c.version.desc(), manifests.c.system).limit(_LISTED)
    return [_as_value(row) for row in connection.execute(query)]


def find(connection: Connection, digest: str) -> Kept:
    """Return the manifest *digest*. Raises `NotFoundError`."""
    columns = [column for column in manifests.c if column.name != "data"]
    row = connection.execute(select(*columns).where(manifests.c.digest == digest)).first()
    if row is None:
        raise NotFoundError("this manifest is not kept here", hint="see [releases] in docs/dashboard.md, or upload it")
    return _as_value(row)


def known(connection: Connection, digest: str) -> bool:
    """Whether the manifest *digest* is kept."""
    return connection.execute(select(manifests.c.digest).where(manifests.c.digest == digest)).first() is not None


def wanted(connection: Connection) -> list[str]:
    """Return the digests of manifests that newest reports name and that are not kept."""
    query = (
        select(reports.c.manifest_digest)
        .distinct()
        .join_from(nodes, reports, nodes.c.current_report == reports.c.id)
        .where(
            nodes.c.state == "enrolled",
            reports.c.manifest_digest != "",
            reports.c.manifest_digest.not_in(select(manifests.c.digest)),
        )
        .limit(_WANTED)
    )
    return list(connection.execute(query).scalars())


def paths(connection: Connection, digest: str) -> tuple[Listed, ...] | None:
    """Return the paths of a manifest in its order, None when it is not kept."""
    data = connection.execute(select(manifests.c.data).where(manifests.c.digest == digest)).scalar()
    return None if data is None else _paths(bytes(data))


@lru_cache(maxsize=_REMEMBERED)
def _paths(data: bytes) -> tuple[Listed, ...]:
    return tuple(
        Listed(record.path, record.nar_hash, record.nar_size, record.origin) for record in closure.decode(data).paths
    )


def _as_value(row: Row[tuple[object, ...]]) -> Kept:
    return Kept(**{name: getattr(row, name) for name in Kept.__struct_fields__})
