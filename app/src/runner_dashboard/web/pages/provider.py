"""Signing in at another service: the browser is sent there, and comes back with a code that is good for one attempt."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from runner_dashboard.identity import flows, owners, people
from runner_dashboard.identity.providers.provider import Attempt
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import NotFoundError, SignInError
from runner_dashboard.web import respond
from runner_dashboard.web.entering import entered, inside, set_cookie
from runner_dashboard.web.guard import cookie_name
from runner_dashboard.web.spec import Query, Spec

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.responses import Response

    from runner_dashboard.identity.people import Known
    from runner_dashboard.identity.providers.provider import Provider
    from runner_dashboard.services import Services
    from runner_dashboard.web.call import Call

log = structlog.get_logger()

CALLBACK = "/sign-in/callback"


def begin(call: Call) -> Response:
    """Send the browser to the provider. Raises `NotFoundError`, `ProviderError` or `BusyError`."""
    provider = _provider(call)
    attempt = Attempt.new(f"{call.services.config.server.public_url}{CALLBACK}")
    kept = {"attempt": asdict(attempt), "next": inside(call.query.get("next", ""))}
    secret = call.services.database.write(lambda connection: flows.begin(connection, call.now, "provider", kept))
    answer = respond.seen(provider.address(attempt, _state(secret), call.now))
    set_cookie(answer, call.services, flow_cookie(call.services), secret, flows.LIFETIME)
    return answer


def finish(call: Call) -> Response:
    """Begin a session for who comes back. Raises `SignInError` or `ProviderError`; then no session is begun."""
    provider = _provider(call)
    secret = call.cookies.get(flow_cookie(call.services), "")
    # Whoever brings somebody else's answer does not have the cookie that the attempt was begun with, nor its state.
    if not secret or not hmac.compare_digest(_state(secret), _ascii(call.query.get("state", ""))):
        raise SignInError("this sign-in was not begun in this browser", hint="begin again on the page Sign in")
    kept = call.services.database.write(lambda connection: flows.take(connection, call.now, "provider", secret))
    if kept is None:
        raise SignInError("this sign-in was used already, or is too old", hint="begin again on the page Sign in")
    if "code" not in call.query:
        raise SignInError(f"the provider refused: {_word(call.query.get('error', ''))}", hint="begin again")
    known = provider.known(Attempt(**kept["attempt"]), dict(call.query), call.now)
    session = call.services.database.write(lambda connection: _session(connection, call, provider, known))
    if session is None:
        raise SignInError(
            f"{known.login} may nothing here", place=f"{provider.key} {known.login}",
            hint="an administrator lists you in [sign_in] of the dashboard's configuration",
        )  # fmt: skip
    log.info("signed in", login=known.login, provider=provider.key)
    answer = entered(call, session, kept["next"])
    set_cookie(answer, call.services, flow_cookie(call.services), "", 0)
    return answer


def _session(connection: Connection, call: Call, provider: Provider, known: Known) -> str | None:
    if call.services.config.sign_in.rights.role(known.login, known.groups) is None:
        return None
    person = people.remember(connection, call.now, provider.key, known)
    who = call.services.owners.principal(connection, call.now, owners.of_person(person))
    return None if who is None else call.services.sessions.begin(connection, call.now, who)


def flow_cookie(services: Services) -> str:
    """Return what the cookie is called that says which browser began."""
    return f"{cookie_name(services)}-sign-in"


def _provider(call: Call) -> Provider:
    found = call.services.provider
    if found is None:
        raise NotFoundError("no other service is configured to sign in at", hint="see [sign_in] in docs/dashboard.md")
    return found


def _state(secret: str) -> str:
    return hashlib.sha256(b"runner-dashboard state " + secret.encode(errors="replace")).hexdigest()


def _ascii(text: str) -> str:
    return text if text.isascii() else ""


def _word(code: str) -> str:
    known = code.isascii() and code.replace("_", "").isalnum()
    return code[:60] if known else "without a reason that can be shown"


_ANSWER = (
    Query("state", "What was sent along."),
    Query("code", "What the provider gives the browser."),
    Query("error", "Why it gives none."),
    Query("iss", "Whose answer it is (RFC 9207)."),
)
ROUTES = (
    Spec("GET", "/sign-in/provider", begin, Role.PUBLIC, None, "page", "Go to sign in at another service.",
         query=(Query("next", "Where to go afterwards."),)),
    Spec("GET", CALLBACK, finish, Role.PUBLIC, None, "page", "Come back from there.", query=_ANSWER),
)  # fmt: skip
