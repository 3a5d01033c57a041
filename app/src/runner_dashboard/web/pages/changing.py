"""Pages with forms, and what the forms do. They do what the API does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ec_closure.findings import KINDS
from runner_dashboard.fleet import enrolment as deciding
from runner_dashboard.identity.roles import GRANTS, PEOPLE, SCOPES, Role
from runner_dashboard.refusals import MalformedError
from runner_dashboard.web import respond
from runner_dashboard.web.api import changing as api
from runner_dashboard.web.api import reading
from runner_dashboard.web.api.changing import Approval, NewAcknowledgement, NewKey, NewNode, NewTicket, NewToken
from runner_dashboard.web.spec import Query, Spec

if TYPE_CHECKING:
    from starlette.responses import Response

    from runner_dashboard.web.api.changing import Shown
    from runner_dashboard.web.call import Call


def enrolment(call: Call, made: Shown | None = None) -> Response:
    """Show nodes that wait, and one-time tokens."""
    with call.services.database.read() as connection:
        waiting = deciding.waiting(connection)
    return respond.page(call, "enrolment.html", waiting=waiting, tickets=api.ticket_list(call).enrolments, made=made)


def make_ticket(call: Call) -> Response:
    """Make a one-time token and show it."""
    return enrolment(call, api.make_ticket(call, _filled(call, NewTicket)))


def revoke_ticket(call: Call) -> Response:
    """Revoke a one-time token."""
    api.revoke_ticket(call)
    return respond.seen("/enrolment")


def enrol(call: Call) -> Response:
    """Enrol a node by its key."""
    return respond.seen(f"/nodes/{api.enrol(call, _filled(call, NewNode)).id}")


def approve(call: Call) -> Response:
    """Let a node report that waits."""
    api.approve(call, _filled(call, Approval))
    return respond.seen("/enrolment")


def retire(call: Call) -> Response:
    """Refuse a node's reports from now on, when the form says that this is meant."""
    if call.form().get("sure") != "yes":
        raise MalformedError("retiring a node is for ever", hint="go back, and tick the box if that is meant")
    return respond.seen(f"/nodes/{api.retire(call).id}")


def replace_key(call: Call) -> Response:
    """Let another key take a node's place."""
    return respond.seen(f"/nodes/{api.replace_key(call, _filled(call, NewKey)).id}")


def acknowledgements(call: Call) -> Response:
    """Show who knows of which findings, and take more."""
    given = {name: call.query.get(name, "") for name in ("code", "node", "path")}
    return respond.page(
        call, "acknowledgements.html", found=reading.acknowledgement_list(call).acknowledgements, given=given,
        kinds=KINDS, may_decide=call.who is not None and call.who.may(Role.OPERATOR, "operate"),
    )  # fmt: skip


def acknowledge(call: Call) -> Response:
    """Acknowledge findings."""
    api.acknowledge(call, _filled(call, NewAcknowledgement))
    return respond.seen("/acknowledgements")


def unacknowledge(call: Call) -> Response:
    """End an acknowledgement."""
    api.unacknowledge(call)
    return respond.seen("/acknowledgements")


def tokens(call: Call, made: Shown | None = None) -> Response:
    """Show API tokens."""
    grants = {role.word: [scope for scope in SCOPES if scope in GRANTS[role]] for role in PEOPLE}
    return respond.page(call, "tokens.html", tokens=api.token_list(call).tokens, made=made, grants=grants)


def make_token(call: Call) -> Response:
    """Make an API token and show it."""
    return tokens(call, api.make_token(call, _filled(call, NewToken)))


def revoke_token(call: Call) -> Response:
    """Revoke an API token."""
    api.revoke_token(call)
    return respond.seen("/tokens")


def _filled(call: Call, kind: Any) -> Any:
    """Return the form as what the API takes. Fields that were left empty are not given. Raises `MalformedError`."""
    known = {name: value for name, value in call.form().items() if name in kind.__struct_fields__ and value.strip()}
    try:
        return msgspec.convert(known, kind, strict=False)
    except msgspec.ValidationError as error:
        raise MalformedError(str(error), hint="go back and correct the form") from error


ROUTES = (
    Spec("GET", "/enrolment", enrolment, Role.OPERATOR, "enrol", "page", "Nodes that wait, and one-time tokens."),
    Spec("POST", "/enrolment/tickets", make_ticket, Role.OPERATOR, "enrol", "form", "Make a one-time token."),
    Spec("POST", "/enrolment/tickets/{ticket}/revoke", revoke_ticket, Role.OPERATOR, "enrol", "form",
         "Revoke a one-time token."),
    Spec("POST", "/enrolment/nodes", enrol, Role.OPERATOR, "enrol", "form", "Enrol a node by its key."),
    Spec("POST", "/nodes/{node}/approve", approve, Role.OPERATOR, "enrol", "form", "Let a node report that waits."),
    Spec("POST", "/nodes/{node}/retire", retire, Role.OPERATOR, "enrol", "form", "Refuse a node's reports."),
    Spec("POST", "/nodes/{node}/rekey", replace_key, Role.OPERATOR, "enrol", "form", "Let another key take its place."),
    Spec("GET", "/acknowledgements", acknowledgements, Role.VIEWER, "read", "page", "Who knows of which findings.",
         query=(Query("code", "Of a finding."), Query("node", "Of a node."), Query("path", "Of a store path."))),
    Spec("POST", "/acknowledgements", acknowledge, Role.OPERATOR, "operate", "form", "Acknowledge findings."),
    Spec("POST", "/acknowledgements/{acknowledgement}/revoke", unacknowledge, Role.OPERATOR, "operate", "form",
         "End an acknowledgement."),
    Spec("GET", "/tokens", tokens, Role.ADMIN, "tokens", "page", "API tokens."),
    Spec("POST", "/tokens", make_token, Role.ADMIN, "tokens", "form", "Make an API token."),
    Spec("POST", "/tokens/{token}/revoke", revoke_token, Role.ADMIN, "tokens", "form", "Revoke an API token."),
)  # fmt: skip
