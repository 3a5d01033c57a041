"""Runners of CI: what forges say, and pausing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from runner_dashboard import audit
from runner_dashboard.events.event import emit
from runner_dashboard.forges.inventory import Answer
from runner_dashboard.identity.roles import Role
from runner_dashboard.web import respond
from runner_dashboard.web.api.changing import Changed, Nothing
from runner_dashboard.web.spec import Spec

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from starlette.responses import Response

    from runner_dashboard.web.call import Call


class RunnerList(msgspec.Struct, frozen=True):
    """What each configured forge says of its runners."""

    forges: list[Answer]


def runner_list(call: Call) -> RunnerList:
    """Return what each configured forge says."""
    return RunnerList(call.services.inventory.answers(call.now))


def change(call: Call, *, paused: bool) -> Changed:
    """Pause a runner, or let it take jobs again. Raises `NotFoundError`, `ConflictError` or `ForgeError`."""
    forge, runner = call.params["forge"], call.params["runner"]
    call.services.inventory.pause(forge, runner, paused=paused)

    def noted(connection: Connection) -> None:
        action = "runner.pause" if paused else "runner.resume"
        audit.done(connection, call.now, actor=call.actor, action=action, subject=f"{forge} {runner}")
        emit(connection, "runner", "", call.now)

    call.services.database.write(noted)
    return Changed(runner)


def _pause(call: Call) -> Response:
    call.json(Nothing)
    return respond.json(change(call, paused=True))


def _resume(call: Call) -> Response:
    call.json(Nothing)
    return respond.json(change(call, paused=False))


ROUTES = (
    Spec("GET", "/api/v1/runners", lambda call: respond.json(runner_list(call)), Role.VIEWER, "read", "api",
         "Runners of CI, as forges know them.", answer=RunnerList),
    Spec("POST", "/api/v1/runners/{forge}/{runner}/pause", _pause, Role.OPERATOR, "operate", "api",
         "Let a runner take no new jobs.", body=Nothing, answer=Changed),
    Spec("POST", "/api/v1/runners/{forge}/{runner}/resume", _resume, Role.OPERATOR, "operate", "api",
         "Let a runner take jobs again.", body=Nothing, answer=Changed),
)  # fmt: skip
