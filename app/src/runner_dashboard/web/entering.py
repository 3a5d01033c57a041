"""Beginning a session, by whatever way somebody was recognised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner_dashboard.web import respond
from runner_dashboard.web.guard import cookie_name

if TYPE_CHECKING:
    from starlette.responses import Response

    from runner_dashboard.services import Services
    from runner_dashboard.web.call import Call


def inside(path: str) -> str:
    """Return *path* if it is one of ours, else that of the overview."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if ours else "/"


def entered(call: Call, session: str, following: str) -> Response:
    """Answer with the cookie of *session*, and go where they wanted to."""
    sessions = call.services.sessions
    answer = respond.seen(inside(following))
    set_cookie(answer, call.services, cookie_name(call.services), sessions.cookie(call.now, session), sessions.lifetime)
    return answer


def set_cookie(answer: Response, services: Services, name: str, value: str, lifetime: int) -> None:
    """Set a cookie that is not for scripts and not for other sites; with *lifetime* 0, take it away."""
    answer.set_cookie(
        name, value, max_age=lifetime, path="/", secure=services.config.secure, httponly=True, samesite="lax"
    )
