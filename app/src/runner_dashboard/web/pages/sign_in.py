"""Signing in with a token, and out again. Other ways to be recognised begin a session in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner_dashboard import audit
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import ForgedError
from runner_dashboard.web import respond
from runner_dashboard.web.guard import cookie_name
from runner_dashboard.web.spec import Spec

if TYPE_CHECKING:
    from starlette.responses import Response

    from runner_dashboard.web.call import Call

_OURS = frozenset({"same-origin", "none"})


def show(call: Call) -> Response:
    """Ask for a token."""
    return respond.page(call, "sign_in.html", following=_inside(call.query.get("next", "")), wrong=False)


def begin(call: Call) -> Response:
    """Begin a session for who has the token of the form, and go where they wanted to. Raises `ForgedError`."""
    _check_origin(call)
    form = call.form()
    services = call.services
    following = _inside(form.get("next", ""))
    token = form.get("token", "").strip()
    found = services.database.write(lambda connection: services.sessions.begin(connection, call.now, token))
    if found is None:
        services.database.write(
            lambda connection: audit.refused(
                connection, call.now, actor=call.actor, action=call.spec.name, subject="",
                detail="401 unauthorized: this token is not accepted",
            )
        )  # fmt: skip
        services.counters.add("refusals", code="unauthorized")
        return respond.page(call, "sign_in.html", 401, following=following, wrong=True)
    session, _ = found
    answer = respond.seen(following)
    answer.set_cookie(
        cookie_name(services), services.sessions.cookie(call.now, session), max_age=services.sessions.lifetime,
        path="/", secure=services.config.secure, httponly=True, samesite="lax",
    )  # fmt: skip
    return answer


def end(call: Call) -> Response:
    """End the session."""
    who = call.who
    if who is not None and who.session is not None:
        call.services.database.write(lambda connection: call.services.sessions.end(connection, call.now, who))
    answer = respond.seen("/sign-in")
    secure = call.services.config.secure
    answer.delete_cookie(cookie_name(call.services), path="/", secure=secure, httponly=True, samesite="lax")
    return answer


def _check_origin(call: Call) -> None:
    """Refuse a form that another site sends: there is no session yet whose value it could bring back."""
    site = call.headers.get("sec-fetch-site")
    if site is not None and site not in _OURS:
        raise ForgedError("this form was sent by another site", hint="sign in on the page of the dashboard itself")
    origin = call.headers.get("origin")
    if site is None and origin is not None and urlsplit(origin).netloc != call.headers.get("host", ""):
        raise ForgedError("this form was sent by another site", hint="sign in on the page of the dashboard itself")


def _inside(path: str) -> str:
    """Return *path* if it is one of ours, else that of the overview."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if inside else "/"


ROUTES = (
    Spec("GET", "/sign-in", show, Role.PUBLIC, None, "page", "Ask for a token."),
    Spec("POST", "/sign-in", begin, Role.PUBLIC, None, "form", "Begin a session."),
    Spec("POST", "/sign-out", end, Role.VIEWER, "read", "form", "End the session."),
)
