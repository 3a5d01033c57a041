"""The release gate's word: brought by CI, read by everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.release_gate import MAX_BYTES
from runner_dashboard.fleet import authority
from runner_dashboard.fleet.authority import Authority, Judged
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import MalformedError, WrongTypeError
from runner_dashboard.web import respond
from runner_dashboard.web.spec import Query, Spec

if TYPE_CHECKING:
    from runner_dashboard.web.call import Call

_CREATED = 201
_MAX_REVISION = 200


def newest(call: Call) -> Authority:
    """Return the gate's answers."""
    with call.services.database.read() as connection:
        return authority.authority(connection)


def bring(call: Call) -> Judged:
    """Keep an answer of the gate. Raises `WrongTypeError` or `MalformedError`."""
    if call.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise WrongTypeError("bodies are sent as application/json")
    revision = call.query.get("revision", "")
    if not 1 <= len(revision) <= _MAX_REVISION or not revision.isprintable():
        raise MalformedError("revision names what was judged", hint="?revision=COMMIT")
    return call.services.database.write(
        lambda connection: authority.keep(connection, call.now, call.body, revision=revision, by=call.actor)
    )


ROUTES = (
    Spec("GET", "/api/v1/authority", lambda call: respond.json(newest(call)), Role.VIEWER, "read", "api",
         "What the release gate said: the newest answer in full, and those before it.", answer=Authority),
    Spec("POST", "/api/v1/authority", lambda call: respond.json(bring(call), _CREATED), Role.OPERATOR, "operate", "api",
         "Bring what `ec-release gate --json` printed.", answer=Judged, status=_CREATED, limit=MAX_BYTES,
         query=(Query("revision", "The commit that was judged."),)),
)  # fmt: skip
