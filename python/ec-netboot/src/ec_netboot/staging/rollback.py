"""Back to the release that was served before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_netboot import staged
from ec_netboot.errors import NotStagedError, RollbackError
from ec_netboot.release import Generation

if TYPE_CHECKING:
    from ec_netboot.release import Platform, Release
    from ec_netboot.state import State


def rollback(state: State, platform: Platform, *, made: int) -> Release:
    """Serve the previous release of *platform* again, and hold it until there is a newer one than is known now.

    Its files are hashed first. Raises `NotStagedError` when there is none, `RollbackError` when signed metadata exclude
    it, `ImageError`, `StateError`.
    """
    with state.locked():
        current = state.current(platform)
        if current is None or current.previous is None:
            raise NotStagedError(f"there is no previous release for {platform}", place=str(state.path))
        previous = staged.load(state, current.previous).release
        standing = state.standing()
        reason = standing.excludes(previous.version) if standing else None
        if reason:
            raise RollbackError(f"release {previous.version} {reason}", place=previous.asset)
        left = state.release(current.release)
        state.switch(
            platform,
            Generation(
                number=current.number + 1,
                release=current.previous,
                previous=current.release,
                reason="rolled-back",
                held=max(left.version, previous.version, standing.latest if standing else 0),
                made=made,
            ),
        )
    return previous
