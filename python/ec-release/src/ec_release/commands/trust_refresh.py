"""`ec-release trust refresh`."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from ec_release.commands.options import Days, Repository
from ec_release.errors import DueError
from ec_release.output import emit
from ec_release.trust import refresh as refreshing
from ec_release.trust.roles import ONLINE, OnlineRole

_DEFAULTS = Days()


def refresh(
    *,
    repository: Repository,
    force: Annotated[bool, Parameter(help="Sign a new timestamp in any case.", negative=())] = False,
    role: Annotated[
        tuple[OnlineRole, ...],
        Parameter(help="Sign for this role alone; may be given more than once [all three].", negative=()),
    ] = ONLINE,
    alarm_days: Annotated[
        int | None,
        Parameter(help="Exit 1 when the root, or a role that is not signed here, expires within these days."),
    ] = None,
    days: Days = _DEFAULTS,
) -> None:
    """Sign anew each of targets, snapshot and timestamp of whose validity less than half is left. For a timer.

    A job that holds the keys of snapshot and timestamp alone names these roles; it then tells when targets are due.
    """
    signing = repository.signing(days)
    done = refreshing.refresh(repository.backend(), signing, repository.pinned(), force=force, roles=role)
    emit(
        {
            "signed": done.signed,
            "metadata": done.versions,
            "root_expires": done.root_expires,
            "root_must_be_renewed_soon": done.root_due,
            "due_and_not_signed_here": done.left,
        },
        as_json=repository.json,
    )
    urgent = done.urgent(signing.time + timedelta(days=alarm_days)) if alarm_days is not None else {}
    if urgent:
        raise DueError(
            "; ".join(f"{name} expires on {at:%Y-%m-%d}" for name, at in urgent.items()),
            hint="docs/trust.md: people renew the root; targets are signed by a run that holds their key",
        )
