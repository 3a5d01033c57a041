"""What programs may ask path by path, and the upload of manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from runner_dashboard.fleet import manifests, paths
from runner_dashboard.fleet.manifests import Kept
from runner_dashboard.fleet.paths import MAX_PAGE, VERDICTS, PathPage, Reproducibility
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import WrongTypeError
from runner_dashboard.web import respond
from runner_dashboard.web.spec import Query, Spec

if TYPE_CHECKING:
    from runner_dashboard.web.call import Call

MEDIA_TYPE = "application/zstd"
_MAX = 16 << 20
_MAX_PATHS = 500_000
_CREATED = 201


class ManifestList(msgspec.Struct, frozen=True):
    """Manifests that are kept, the newest release first."""

    manifests: list[Kept]


def manifest_list(call: Call) -> ManifestList:
    """Return the manifests that are kept."""
    with call.services.database.read() as connection:
        return ManifestList(manifests.listed(connection))


def upload(call: Call) -> Kept:
    """Keep a manifest. Raises `WrongTypeError` or `MalformedError`."""
    if call.headers.get("content-type", "").partition(";")[0].strip() != MEDIA_TYPE:
        raise WrongTypeError(f"manifests are sent as {MEDIA_TYPE}, as they were published")
    return call.services.database.write(
        lambda connection: manifests.keep(connection, call.now, call.body, by=call.actor)
    )


def report_paths(call: Call, digest: str) -> PathPage:
    """Return some paths of the report *digest*. Raises `NotFoundError` or `MalformedError`."""
    with call.services.database.read() as connection:
        return paths.of_report(
            connection,
            digest,
            verdict=call.choice("verdict", ("", *VERDICTS), ""),
            text=call.query.get("q", "").strip(),
            after=call.number("after", 0, 0, _MAX_PATHS),
            limit=call.number("limit", 100, 1, MAX_PAGE),
        )


def release(call: Call) -> Reproducibility:
    """Return what the fleet says of the release whose manifest the address names. Raises `NotFoundError`."""
    with call.services.database.read() as connection:
        return paths.of_release(connection, call.params["digest"])


_PATHS = (
    Query("verdict", f"One of {', '.join(VERDICTS)}."),
    Query("q", "A part of the store path."),
    Query("limit", "How many at most."),
    Query("after", "The `next` of the page before."),
)

ROUTES = (
    Spec("GET", "/api/v1/reports/{digest}/paths", lambda call: respond.json(report_paths(call, call.params["digest"])),
         Role.VIEWER, "read", "api", "What a report says of each path of its manifest, the gravest first.",
         answer=PathPage, query=_PATHS),
    Spec("GET", "/api/v1/releases/{digest}", lambda call: respond.json(release(call)), Role.VIEWER, "read", "api",
         "What the fleet says of each path of a release: causes, what is inherited, what is broken.",
         answer=Reproducibility),
    Spec("GET", "/api/v1/manifests", lambda call: respond.json(manifest_list(call)), Role.VIEWER, "read", "api",
         "Closure manifests that are kept.", answer=ManifestList),
    Spec("POST", "/api/v1/manifests", lambda call: respond.json(upload(call), _CREATED), Role.OPERATOR, "operate",
         "api", "Keep a closure manifest, as it was published.", answer=Kept, status=_CREATED, limit=_MAX,
         media_type=MEDIA_TYPE),
)  # fmt: skip
