"""Signing in with a token, and out again; `provider` and `passkeys` have the other ways."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner_dashboard import audit
from runner_dashboard.identity import tokens
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import ForgedError
from runner_dashboard.web import respond
from runner_dashboard.web.entering import entered, inside, set_cookie
from runner_dashboard.web.guard import cookie_name
from runner_dashboard.web.spec import Spec

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.responses import Response

    from runner_dashboard.web.call import Call

_OURS = frozenset({"same-origin", "none"})


def show(call: Call) -> Response:
    """Ask for a token, a passkey, or send elsewhere."""
    return _asked(call, 200, inside(call.query.get("next", "")), wrong=False)


def begin(call: Call) -> Response:
    """Begin a session for who has the token of the form, and go where they wanted to. Raises `ForgedError`."""
    check_origin(call)
    form = call.form()
    services = call.services
    following = inside(form.get("next", ""))
    token = form.get("token", "").strip()
    session = services.database.write(lambda connection: _session(connection, call, token))
    if session is None:
        services.database.write(
            lambda connection: audit.refused(
                connection, call.now, actor=call.actor, action=call.spec.name, subject="",
                detail="401 unauthorized: this token is not accepted",
            )
        )  # fmt: skip
        services.counters.add("refusals", code="unauthorized")
        return _asked(call, 401, following, wrong=True)
    return entered(call, session, following)


def _session(connection: Connection, call: Call, token: str) -> str | None:
    """Return a new session; None for a token that is not accepted, or is for machines that may not read a page."""
    who = tokens.principal(connection, call.now, token)
    if who is None or not who.may(Role.VIEWER, "read"):
        return None
    return call.services.sessions.begin(connection, call.now, who)


def _asked(call: Call, status: int, following: str, *, wrong: bool) -> Response:
    provider = call.services.provider
    return respond.page(
        call, "sign_in.html", status, following=following, wrong=wrong, passkeys=call.services.passkeys.possible,
        provider=None if provider is None else provider.title,
    )  # fmt: skip


def end(call: Call) -> Response:
    """End the session."""
    who = call.who
    if who is not None and who.session is not None:
        call.services.database.write(lambda connection: call.services.sessions.end(connection, call.now, who))
    answer = respond.seen("/sign-in")
    set_cookie(answer, call.services, cookie_name(call.services), "", 0)
    return answer


def check_origin(call: Call) -> None:
    """Refuse a form that another site sends: there is no session yet whose value it could bring back."""
    site = call.headers.get("sec-fetch-site")
    if site is not None and site not in _OURS:
        raise ForgedError("this form was sent by another site", hint="sign in on the page of the dashboard itself")
    origin = call.headers.get("origin")
    if site is None and origin is not None and urlsplit(origin).netloc != call.headers.get("host", ""):
        raise ForgedError("this form was sent by another site", hint="sign in on the page of the dashboard itself")


ROUTES = (
    Spec("GET", "/sign-in", show, Role.PUBLIC, None, "page", "Ask who it is."),
    Spec("POST", "/sign-in", begin, Role.PUBLIC, None, "form", "Begin a session."),
    Spec("POST", "/sign-out", end, Role.VIEWER, "read", "form", "End the session."),
)
