"""`ec-release trust refresh`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ec_release.commands.options import Days, Repository
from ec_release.output import emit
from ec_release.trust import refresh as refreshing

_DEFAULTS = Days()


def refresh(
    *,
    repository: Repository,
    force: Annotated[bool, Parameter(help="Sign a new timestamp in any case.", negative=())] = False,
    days: Days = _DEFAULTS,
) -> None:
    """Sign anew each of targets, snapshot and timestamp of whose validity less than half is left. For a timer."""
    done = refreshing.refresh(repository.backend(), repository.signing(days), repository.pinned(), force=force)
    emit(
        {
            "signed": done.signed,
            "metadata": done.versions,
            "root_expires": done.root_expires,
            "root_must_be_renewed_soon": done.root_due,
        },
        as_json=repository.json,
    )
