"""Change what targets metadata say, and publish the change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_release.trust.published import load
from ec_release.trust.standing import Standing, standing_of
from ec_release.trust.update import Versions, current, write

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuf.api.metadata import Targets

    from ec_release.backend.protocol import ReleaseBackend
    from ec_release.trust.update import Signing


@dataclass(frozen=True)
class Changed:
    """Whether anything changed, and what is said now."""

    changed: bool
    standing: Standing
    versions: Versions


def change_targets(
    backend: ReleaseBackend, signing: Signing, pinned: bytes, edit: Callable[[Targets], Targets | None]
) -> Changed:
    """Publish what *edit* makes of the current targets; None from it changes nothing."""
    with backend.locked():
        published = load(backend, pinned)
        targets = edit(published.targets.signed)
        if targets is None:
            return Changed(changed=False, standing=standing_of(published.targets.signed), versions=current(published))
        versions = write(backend, published, signing, targets=targets)
    return Changed(changed=True, standing=standing_of(targets), versions=versions)
