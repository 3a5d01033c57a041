"""A runner of CI, in the words that all forges share."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

Status = Literal["busy", "idle", "offline", "unknown"]


class Runner(msgspec.Struct, frozen=True, kw_only=True):
    """One runner. *paused* says whether it takes new jobs; None where its forge has no such thing."""

    forge: str
    id: str
    name: str
    status: Status
    labels: list[str]
    paused: bool | None
    version: str


class Forge(Protocol):
    """A forge. Methods raise `ForgeError` when it does not answer as it must."""

    @property
    def name(self) -> str:
        """What it is called in addresses and on pages."""
        ...

    @property
    def pauses(self) -> bool:
        """Whether it can pause runners."""
        ...

    def runners(self) -> list[Runner]:
        """Return all runners of what is configured."""
        ...

    def pause(self, runner: str, *, paused: bool) -> None:
        """Let *runner* take no new jobs, or take them again."""
        ...
