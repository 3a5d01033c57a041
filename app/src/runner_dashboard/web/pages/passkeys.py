"""Passkeys in the browser: signing in with one, and the page Settings, where they are made and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ec_closure import strict_json
from ec_closure.errors import BadInputError
from runner_dashboard.identity import passkeys
from runner_dashboard.identity.proxy import OWNER as PROXY
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import ConflictError, ForbiddenError, MalformedError, SignInError
from runner_dashboard.web import respond
from runner_dashboard.web.entering import entered, inside
from runner_dashboard.web.pages.sign_in import check_origin
from runner_dashboard.web.spec import MAX_BODY, Spec

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.responses import Response

    from runner_dashboard.identity.roles import Principal
    from runner_dashboard.web.call import Call

_MAX_NAME = 100
# While there is one thread: see `runner_dashboard.ingest.accept`.
_WORKED_OUT = msgspec.json.Decoder(dict[str, Any])


def settings(call: Call) -> Response:
    """Show who it is, and their passkeys; administrators see everybody's."""
    who = call.who
    if who is None:
        raise ForbiddenError("nobody asks")
    with call.services.database.read() as connection:
        mine = passkeys.owned(connection, who.owner)
        others = [one for one in passkeys.every(connection) if one.owner != who.owner] if _rules(who) else []
    return respond.page(
        call, "settings.html", mine=mine, others=others, possible=call.services.passkeys.possible,
        proxied=who.owner == PROXY,
    )  # fmt: skip


def offer(call: Call) -> Response:
    """Answer with what the browser is asked for a new passkey."""
    who = _who(call)
    return respond.json(
        call.services.database.write(lambda connection: call.services.passkeys.offer(connection, call.now, who))
    )


def add(call: Call) -> Response:
    """Keep the passkey that the browser made."""
    who = _who(call)
    form = call.form()
    name = form.get("name", "").strip()
    if not 1 <= len(name) <= _MAX_NAME or not name.isprintable():
        raise MalformedError(f"a passkey has a name of 1 to {_MAX_NAME} characters", hint="go back and name it")
    answer, flow = _answer(form), form.get("flow", "")
    call.services.database.write(
        lambda connection: call.services.passkeys.register(connection, call.now, who, flow, answer, name)
    )
    return respond.seen("/settings")


def remove(call: Call) -> Response:
    """Remove a passkey: one's own, as an administrator anybody's."""
    who = _who(call)
    passkey = call.params["passkey"]
    call.services.database.write(
        lambda connection: passkeys.remove(connection, call.now, who, passkey, of_others=_rules(who))
    )
    return respond.seen("/settings")


def challenge(call: Call) -> Response:
    """Answer with what a passkey is asked to sign. Raises `ForgedError`, `ConflictError` or `BusyError`."""
    check_origin(call)
    return respond.json(
        call.services.database.write(lambda connection: call.services.passkeys.challenge(connection, call.now))
    )


def begin(call: Call) -> Response:
    """Begin a session for whose passkey answered. Raises `SignInError` or `ForgedError`."""
    check_origin(call)
    form = call.form()
    answer, flow = _answer(form), form.get("flow", "")
    session = call.services.database.write(lambda connection: _session(connection, call, flow, answer))
    if session is None:
        raise SignInError("what this passkey belongs to may nothing here any more", hint="sign in by another way")
    return entered(call, session, inside(form.get("next", "")))


def _session(connection: Connection, call: Call, flow: str, answer: dict[str, Any]) -> str | None:
    owner = call.services.passkeys.owner(connection, call.now, flow, answer)
    who = call.services.owners.principal(connection, call.now, owner)
    if who is None or not who.may(Role.VIEWER, "read"):
        return None
    return call.services.sessions.begin(connection, call.now, who)


def _answer(form: dict[str, str]) -> dict[str, Any]:
    try:
        return strict_json.decode(
            form.get("answer", "").encode(), dict[str, Any], what="answer", max_bytes=MAX_BODY, max_depth=8
        )
    except BadInputError as error:
        raise MalformedError("the browser's answer is no JSON", hint="begin again") from error


def _who(call: Call) -> Principal:
    if call.who is None or call.who.session is None:
        raise ConflictError("passkeys are for somebody who is signed in with a browser")
    return call.who


def _rules(who: Principal) -> bool:
    return who.may(Role.ADMIN, "tokens")


ROUTES = (
    Spec("POST", "/sign-in/passkey/challenge", challenge, Role.PUBLIC, None, "form", "Ask for a challenge."),
    Spec("POST", "/sign-in/passkey", begin, Role.PUBLIC, None, "form", "Begin a session with a passkey."),
    Spec("GET", "/settings", settings, Role.VIEWER, "read", "page", "Who it is, and their passkeys."),
    Spec("POST", "/settings/passkeys/challenge", offer, Role.VIEWER, "read", "form", "Ask for a new passkey."),
    Spec("POST", "/settings/passkeys", add, Role.VIEWER, "read", "form", "Keep a new passkey."),
    Spec("POST", "/settings/passkeys/{passkey}/remove", remove, Role.VIEWER, "read", "form", "Remove a passkey."),
)
