"""`ec-release trust withdraw` and `ec-release trust min-version`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ec_release.commands.options import Days, Repository
from ec_release.output import emit
from ec_release.trust import standing
from ec_release.trust.change import change_targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuf.api.metadata import Targets

_DEFAULTS = Days()


def withdraw(
    *versions: Annotated[int, Parameter(help="Release versions to withdraw.")],
    repository: Repository,
    days: Days = _DEFAULTS,
) -> None:
    """Tell every node that these releases must not run any more. The assets stay: evidence is not deleted."""
    _change(repository, days, lambda targets: standing.withdraw(targets, set(versions)))


def min_version(
    version: Annotated[int, Parameter(help="The lowest acceptable release version.")],
    *,
    repository: Repository,
    days: Days = _DEFAULTS,
) -> None:
    """Tell every node that releases below VERSION must not run any more."""
    _change(repository, days, lambda targets: standing.raise_minimum(targets, version))


def _change(repository: Repository, days: Days, edit: Callable[[Targets], Targets | None]) -> None:
    changed = change_targets(repository.backend(), repository.signing(days), repository.pinned(), edit)
    emit(
        {"changed": changed.changed, "standing": changed.standing, "metadata": changed.versions},
        as_json=repository.json,
    )
