"""What forges say, asked when somebody looks and kept for half a minute; one that fails hides none of the others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from runner_dashboard.config import read_file
from runner_dashboard.errors import ConfigError
from runner_dashboard.forges.kinds import Forgejo, GitHub, GitLab
from runner_dashboard.forges.runner import Runner
from runner_dashboard.refusals import ForgeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner_dashboard.config import Config, ForgeTable
    from runner_dashboard.forges.runner import Forge

_KEPT: Final = 30
_MAX_TOKEN: Final = 4096
KINDS: Final[dict[str, Callable[[ForgeTable, str], Forge]]] = {"forgejo": Forgejo, "github": GitHub, "gitlab": GitLab}


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a forge said at *asked*: its *runners*, or the *error* that it failed with. *pauses*: it can pause them."""

    forge: str
    pauses: bool
    asked: int
    runners: list[Runner]
    error: str


class Inventory:
    """The forges of *config*. Raises `ConfigError` for a token file that holds none."""

    def __init__(self, config: Config) -> None:
        tables = {"forgejo": config.forgejo, "github": config.github, "gitlab": config.gitlab}
        self._forges: dict[str, Forge] = {
            name: KINDS[name](table, _token(table)) for name, table in tables.items() if table.scope
        }
        self._lock = threading.Lock()
        self._answers: dict[str, Answer] = {}

    def answers(self, now: int) -> list[Answer]:
        """Return what each forge says. Nothing is raised: what went wrong stands in the answer."""
        return [self._answer(name, forge, now) for name, forge in self._forges.items()]

    def _answer(self, name: str, forge: Forge, now: int) -> Answer:
        with self._lock:
            kept = self._answers.get(name)
        if kept is not None and 0 <= now - kept.asked < _KEPT:
            return kept
        try:
            runners, error = forge.runners(), ""
        except ForgeError as failure:
            runners, error = [], f"{failure.message}{f': {failure.hint}' if failure.hint else ''}"
        runners.sort(key=lambda one: (one.status != "offline", one.name, one.id))
        made = Answer(forge=name, pauses=forge.pauses, asked=now, runners=runners, error=error)
        with self._lock:
            self._answers[name] = made
        return made

    def pause(self, name: str, runner: str, *, paused: bool) -> None:
        """Pause a runner of the forge *name*, or let it take jobs again.

        Raises `NotFoundError` for a forge, or a runner, that is not in the inventory; `ConflictError`, `ForgeError`.
        """
        forge, kept = self._forges.get(name), self._answers.get(name)
        # Not any runner of the forge: the token may be allowed more than this page is about.
        if forge is None or kept is None or runner not in {one.id for one in kept.runners}:
            raise NotFoundError("no such runner", hint="load the page again")
        forge.pause(runner, paused=paused)
        with self._lock:
            self._answers.pop(name, None)


def _token(table: ForgeTable) -> str:
    token = read_file(Path(table.token_file), _MAX_TOKEN).decode(errors="replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError("holds no token", place=table.token_file, hint="one line, as the forge shows it")
    return token
