"""What programs may change. Each change is one transaction, and is audited in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from runner_dashboard.fleet import acknowledging, enrolment
from runner_dashboard.identity import tokens
from runner_dashboard.identity.roles import Role, Scope
from runner_dashboard.web import respond
from runner_dashboard.web.spec import Spec

if TYPE_CHECKING:
    from starlette.responses import Response

    from runner_dashboard.web.call import Call

_DAY = 86_400
_CREATED = 201
_MAX_DAYS = 3650
_MAX_ACKNOWLEDGED = 365
Name = Annotated[str, msgspec.Meta(max_length=200)]
Days = Annotated[int, msgspec.Meta(ge=1, le=_MAX_DAYS)]


class Body(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is sent with a change."""


class NewTicket(Body, frozen=True, kw_only=True):
    """A one-time token for a node that will be called *name*, or as it says itself; unused, it ends after *days*."""

    name: Name = ""
    days: Days = 7


class NewNode(Body, frozen=True, kw_only=True):
    """A node to be enrolled by its public *key*, as `ec-verify key` prints it."""

    name: Name
    key: Annotated[str, msgspec.Meta(max_length=2000)]


class Approval(Body, frozen=True, kw_only=True):
    """A node that waits may report, and is called *name*, or as it says itself."""

    name: Name = ""


class NewKey(Body, frozen=True, kw_only=True):
    """The public *key* that takes the place of a node's, as `ec-verify key` prints it."""

    key: Annotated[str, msgspec.Meta(max_length=2000)]


class NewAcknowledgement(Body, frozen=True, kw_only=True):
    """*owner* knows of findings *code*, for *days*: on one *node* and for one *path*, or on all and for all."""

    code: Annotated[str, msgspec.Meta(max_length=20)]
    owner: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    days: Annotated[int, msgspec.Meta(ge=1, le=_MAX_ACKNOWLEDGED)] = 14
    node: Annotated[str, msgspec.Meta(max_length=100)] = ""
    path: Annotated[str, msgspec.Meta(max_length=4096)] = ""


class Nothing(Body, frozen=True, kw_only=True):
    """Nothing more is needed: `{}`."""


class NewToken(Body, frozen=True, kw_only=True):
    """An API token for *role*, with all that it may have or some *scopes*; for ever, or for *days*."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    role: Literal["viewer", "operator", "admin"] = "viewer"
    scopes: list[Scope] | None = None
    days: Days | None = None


class Shown(msgspec.Struct, frozen=True):
    """A secret that is shown only now, and its identifier."""

    id: str
    token: str


class Changed(msgspec.Struct, frozen=True):
    """What was changed, by its identifier."""

    id: str


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time token, without its secret. *used_by* is a node."""

    id: str
    name: str
    made_by: str
    made_at: int
    expires_at: int
    used_at: int | None
    used_by: str | None
    revoked_at: int | None


class TicketList(msgspec.Struct, frozen=True):
    """One-time tokens, newest first."""

    enrolments: list[Ticket]


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An API token, without its secret. *scopes* are words with blanks between them."""

    id: str
    name: str
    role: str
    scopes: str
    origin: str
    made_by: str
    made_at: int
    expires_at: int | None
    revoked_at: int | None


class TokenList(msgspec.Struct, frozen=True):
    """API tokens, newest first."""

    tokens: list[Token]


def listed(kind: Any, rows: Any) -> list[Any]:
    """Return *rows* as values of *kind*."""
    return [kind(**{name: getattr(row, name) for name in kind.__struct_fields__}) for row in rows]


def ticket_list(call: Call) -> TicketList:
    """Return one-time tokens."""
    with call.services.database.read() as connection:
        return TicketList(listed(Ticket, enrolment.tickets(connection)))


def token_list(call: Call) -> TokenList:
    """Return API tokens."""
    with call.services.database.read() as connection:
        return TokenList(listed(Token, tokens.listed(connection)))


def make_ticket(call: Call, wanted: NewTicket) -> Shown:
    """Make a one-time token. Raises `MalformedError`."""
    made = call.services.database.write(
        lambda connection: enrolment.create(
            connection, call.now, name=wanted.name, lifetime=wanted.days * _DAY, by=call.actor
        )
    )
    return Shown(made.id, made.render())


def revoke_ticket(call: Call) -> Changed:
    """Revoke a one-time token. Raises `NotFoundError` or `ConflictError`."""
    ticket = call.params["ticket"]
    call.services.database.write(lambda connection: enrolment.revoke(connection, call.now, ticket, by=call.actor))
    return Changed(ticket)


def enrol(call: Call, wanted: NewNode) -> Changed:
    """Enrol a node by its key. Raises `MalformedError` or `ConflictError`."""
    node = call.services.database.write(
        lambda connection: enrolment.enrol_key(connection, call.now, key=wanted.key, name=wanted.name, by=call.actor)
    )
    return Changed(node)


def approve(call: Call, wanted: Approval) -> Changed:
    """Let a node report. Raises `NotFoundError` or `ConflictError`."""
    node = call.params["node"]
    call.services.database.write(
        lambda connection: enrolment.approve(connection, call.now, node, name=wanted.name, by=call.actor)
    )
    return Changed(node)


def retire(call: Call) -> Changed:
    """Refuse a node's reports from now on. Raises `NotFoundError` or `ConflictError`."""
    node = call.params["node"]
    call.services.database.write(lambda connection: enrolment.retire(connection, call.now, node, by=call.actor))
    return Changed(node)


def acknowledge(call: Call, wanted: NewAcknowledgement) -> Changed:
    """Acknowledge findings. Raises `MalformedError` or `NotFoundError`."""
    made = call.services.database.write(
        lambda connection: acknowledging.create(
            connection, call.now, code=wanted.code, node=wanted.node, path=wanted.path, owner=wanted.owner,
            reason=wanted.reason, lifetime=wanted.days * _DAY, by=call.actor,
        )
    )  # fmt: skip
    return Changed(made)


def unacknowledge(call: Call) -> Changed:
    """End an acknowledgement. Raises `NotFoundError` or `ConflictError`."""
    one = call.params["acknowledgement"]
    call.services.database.write(lambda connection: acknowledging.revoke(connection, call.now, one, by=call.actor))
    return Changed(one)


def replace_key(call: Call, wanted: NewKey) -> Changed:
    """Let another key take a node's place. Raises `NotFoundError`, `MalformedError` or `ConflictError`."""
    node = call.params["node"]
    made = call.services.database.write(
        lambda connection: enrolment.replace_key(connection, call.now, node, key=wanted.key, by=call.actor)
    )
    return Changed(made)


def make_token(call: Call, wanted: NewToken) -> Shown:
    """Make an API token. Raises `MalformedError`."""
    made = call.services.database.write(
        lambda connection: tokens.create(
            connection,
            call.now,
            name=wanted.name,
            role=Role.of(wanted.role),
            scopes=wanted.scopes,
            lifetime=None if wanted.days is None else wanted.days * _DAY,
            by=call.actor,
        )
    )
    return Shown(made.id, made.render())


def revoke_token(call: Call) -> Changed:
    """Revoke an API token. Raises `NotFoundError` or `ConflictError`."""
    token = call.params["token"]
    call.services.database.write(lambda connection: tokens.revoke(connection, call.now, token, by=call.actor))
    return Changed(token)


# While there is one thread: see `runner_dashboard.ingest.accept`.
_WORKED_OUT = tuple(
    msgspec.json.Decoder(kind) for kind in (NewTicket, NewNode, Approval, NewAcknowledgement, NewKey, Nothing, NewToken)
)


def _with(kind: Any, change: Any, status: int = 200) -> Any:
    def handler(call: Call) -> Response:
        return respond.json(change(call, call.json(kind)), status)

    return handler


def _without(change: Any) -> Any:
    def handler(call: Call) -> Response:
        call.json(Nothing)
        return respond.json(change(call))

    return handler


ROUTES = (
    Spec("GET", "/api/v1/enrolments", lambda call: respond.json(ticket_list(call)), Role.OPERATOR, "enrol", "api",
         "One-time tokens, without their secrets.", answer=TicketList),
    Spec("POST", "/api/v1/enrolments", _with(NewTicket, make_ticket, _CREATED), Role.OPERATOR, "enrol", "api",
         "Make a one-time token: the first node that sends a report with it is enrolled.", body=NewTicket,
         answer=Shown, status=_CREATED),
    Spec("POST", "/api/v1/enrolments/{ticket}/revoke", _without(revoke_ticket), Role.OPERATOR, "enrol", "api",
         "Revoke a one-time token that was not used.", body=Nothing, answer=Changed),
    Spec("POST", "/api/v1/nodes", _with(NewNode, enrol, _CREATED), Role.OPERATOR, "enrol", "api",
         "Enrol a node by its public key.", body=NewNode, answer=Changed, status=_CREATED),
    Spec("POST", "/api/v1/nodes/{node}/approve", _with(Approval, approve), Role.OPERATOR, "enrol", "api",
         "Let a node report that waits.", body=Approval, answer=Changed),
    Spec("POST", "/api/v1/nodes/{node}/retire", _without(retire), Role.OPERATOR, "enrol", "api",
         "Refuse a node's reports from now on; what it reported is kept.", body=Nothing, answer=Changed),
    Spec("POST", "/api/v1/acknowledgements", _with(NewAcknowledgement, acknowledge, _CREATED), Role.OPERATOR, "operate",
         "api", "Say that findings are known, to whom, and until when; no verdict changes.", body=NewAcknowledgement,
         answer=Changed, status=_CREATED),
    Spec("POST", "/api/v1/acknowledgements/{acknowledgement}/revoke", _without(unacknowledge), Role.OPERATOR, "operate",
         "api", "End an acknowledgement before its time.", body=Nothing, answer=Changed),
    Spec("POST", "/api/v1/nodes/{node}/rekey", _with(NewKey, replace_key), Role.OPERATOR, "enrol", "api",
         "Let another key take a node's place, under its name; the old one is refused from now on.", body=NewKey,
         answer=Changed),
    Spec("GET", "/api/v1/tokens", lambda call: respond.json(token_list(call)), Role.ADMIN, "tokens", "api",
         "API tokens, without their secrets.", answer=TokenList),
    Spec("POST", "/api/v1/tokens", _with(NewToken, make_token, _CREATED), Role.ADMIN, "tokens", "api",
         "Make an API token.", body=NewToken, answer=Shown, status=_CREATED),
    Spec("POST", "/api/v1/tokens/{token}/revoke", _without(revoke_token), Role.ADMIN, "tokens", "api",
         "Revoke an API token; sessions that it began end.", body=Nothing, answer=Changed),
)  # fmt: skip
