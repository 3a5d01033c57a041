"""The releases that are served: hashed before they are shown, and replaced as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from ec_closure.errors import EcError
from ec_netboot import staged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_netboot.release import Generation, Platform, Standing
    from ec_netboot.staged import Staged
    from ec_netboot.state import State

_RETRY = 60
"""Looks until something that could not be taken over is hashed again: an image takes seconds, a look is each second."""

_log = structlog.get_logger()


@dataclass(frozen=True)
class _Shown:
    """What was read at one moment. *numbers* are the generations that it came from."""

    numbers: tuple[int | None, ...]
    current: dict[Platform, Staged]
    known: dict[str, Staged]


class Shelf:
    """What is served for *platforms*, from the state directory *state*.

    `refresh` looks whether there is anything new, and hashes it in another thread: until that is done, and when it
    fails, the old release is served.
    """

    def __init__(self, state: State, platforms: Sequence[Platform]) -> None:
        self._state = state
        self._platforms = tuple(platforms)
        self._shown = _Shown((), {}, {})
        self._standing: Standing | None = None
        self._failed: tuple[int | None, ...] | None = None
        self._patience = 0
        self.problem: str | None = None

    def current(self, platform: Platform) -> Staged | None:
        """Return what is served to *platform*, None where nothing may be."""
        found = self._shown.current.get(platform)
        return None if found is None or self.exclusion(found) else found

    def find(self, archive: str) -> Staged | None:
        """Return the release with this digest, if it is or was served since the start, or is the one before."""
        return self._shown.known.get(archive)

    def exclusion(self, found: Staged) -> str | None:
        """Return why signed metadata do not let *found* be served, None where they do."""
        return self._standing.excludes(found.release.version) if self._standing else None

    async def refresh(self) -> None:
        """Take over what was staged since. Failures are logged, and told by `problem`; nothing is raised."""
        try:
            await asyncio.to_thread(self._refresh)
        except EcError as error:
            if str(error) != self.problem:
                _log.error("the old release stays", error=str(error), hint=error.hint)
            self.problem = str(error)
            self._patience = _RETRY

    def _refresh(self) -> None:
        self._standing = self._state.standing()
        numbers = tuple(map(self._state.current_number, self._platforms))
        if numbers == self._failed and self._patience:
            self._patience -= 1
            return
        if numbers == self._shown.numbers and self.problem is None:
            return
        self._failed = numbers  # until it is taken over
        generations: dict[Platform, Generation] = {}
        for platform in self._platforms:
            generation = self._state.current(platform)
            if generation is not None:
                generations[platform] = generation
        known = dict(self._shown.known)
        loaded = {one.directory: one for one in known.values()}
        current: dict[Platform, Staged] = {}
        for platform, generation in generations.items():
            found = loaded.get(generation.release) or staged.load(self._state, generation.release)
            current[platform] = known[found.release.archive] = found
        self._shown = _Shown(numbers, current, known)
        for platform, found in current.items():
            _log.info("serving", platform=platform, release=found.release.asset, archive=found.release.archive)
        self._remember_previous(generations, numbers, current, known)
        self._failed = self.problem = None

    def _remember_previous(
        self,
        generations: dict[Platform, Generation],
        numbers: tuple[int | None, ...],
        current: dict[Platform, Staged],
        known: dict[str, Staged],
    ) -> None:
        """Also show the releases before: machines may have their scripts, and be on their way to the kernel."""
        wanted = {generation.previous for generation in generations.values()} - {None}
        kept = {name: one for name, one in known.items() if one.directory in wanted or one in current.values()}
        for name in wanted - {one.directory for one in kept.values()}:
            try:
                found = staged.load(self._state, str(name))
            except EcError as error:
                _log.warning("the release before is not served", error=str(error))
                continue
            kept.setdefault(found.release.archive, found)
        self._shown = _Shown(numbers, current, kept)
