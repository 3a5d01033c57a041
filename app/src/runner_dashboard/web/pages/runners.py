"""The page about runners of CI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner_dashboard.identity.roles import Role
from runner_dashboard.web import respond
from runner_dashboard.web.api import runners as api
from runner_dashboard.web.spec import Spec

if TYPE_CHECKING:
    from starlette.responses import Response

    from runner_dashboard.web.call import Call


def runners(call: Call) -> Response:
    """Show runners of CI."""
    may = call.who is not None and call.who.may(Role.OPERATOR, "operate")
    return respond.page(call, "runners.html", forges=api.runner_list(call).forges, may_decide=may)


def pause(call: Call) -> Response:
    """Let a runner take no new jobs."""
    api.change(call, paused=True)
    return respond.seen("/runners")


def resume(call: Call) -> Response:
    """Let a runner take jobs again."""
    api.change(call, paused=False)
    return respond.seen("/runners")


ROUTES = (
    Spec("GET", "/runners", runners, Role.VIEWER, "read", "page", "Runners of CI."),
    Spec("POST", "/runners/{forge}/{runner}/pause", pause, Role.OPERATOR, "operate", "form", "Pause a runner of CI."),
    Spec("POST", "/runners/{forge}/{runner}/resume", resume, Role.OPERATOR, "operate", "form",
         "Let a runner of CI take jobs again."),
)  # fmt: skip
