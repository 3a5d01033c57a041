"""Nix, as systems are evaluated, built and described by it.

Evaluation sees no user's caches, registries, settings or search path, does not touch the lock and cannot build
(pitfalls P23, P30, P31, P34); the store, the daemon and nix.conf are those of the machine, because they are what built
the system. Nothing reads JSON that Nix prints: seven releases changed it (P1 to P3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ec_closure.errors import BadInputError
from ec_closure.store_path import StorePath
from ec_release import nix_settings, program
from ec_release.closure.errors import EvaluationError
from ec_release.nix_settings import FEATURES
from ec_release.program import ProgramError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_release.closure.location import Location

_HERMETIC = (
    "--no-eval-cache",
    "--no-update-lock-file",
    "--no-use-registries",
    *("--option", "flake-registry", ""),
    *("--option", "pure-eval", "true"),
    *("--option", "accept-flake-config", "false"),
    *("--option", "allow-import-from-derivation", "false"),
)
_DROPPED = ("NIX_PATH", "NIX_CONFIG", "NIX_USER_CONF_FILES")
_VERSION = re.compile(r"\d+\.\d+\S*")
_DESCRIBE = r't: builtins.concatStringsSep "\n" [ t.drvPath t.outPath t.system ]'


@dataclass(frozen=True)
class Evaluated:
    """What a flake attribute evaluates to."""

    drv_path: str
    out_path: str
    platform: str


@dataclass(frozen=True)
class Settings:
    """What decides how this machine builds."""

    version: str
    sandbox: bool
    platform: str


class Nix:
    """Nix on one store. *home* is an empty directory that this instance may fill; *options* are passed on.

    *arguments* are handed to `nix eval` as they are: ``--override-input`` and the like, for trials.
    """

    def __init__(
        self,
        program: str,
        location: Location,
        options: Sequence[tuple[str, str]],
        home: Path,
        arguments: Sequence[str] = (),
    ) -> None:
        self._program = program
        self._arguments = arguments
        self._location = location
        self._options = [word for name, value in options for word in ("--option", name, value)]
        self._home = home

    def settings(self) -> Settings:
        """Return the version and the settings in force. Raises `ProgramError`."""
        said = self._run("nix", ["--version"])
        version = _VERSION.search(said)
        if version is None:
            raise ProgramError(f"{self._program} --version answers {said.strip()[:80]!r}")
        found = nix_settings.read(self._program, self._options, self._environment())
        if "sandbox" not in found or "system" not in found:
            raise ProgramError("Nix does not tell its settings", place=self._program)
        return Settings(version[0], found["sandbox"] == "true", found["system"])

    def add_source(self, tree: Path) -> str:
        """Add the directory *tree*, which is called `source`, to the store. Returns its store path."""
        return self._run("nix-store", [*self._store, "--add", str(tree)]).strip()

    def evaluate(self, source: str, attribute: str, *, offline: bool) -> Evaluated:
        """Evaluate *attribute* of the flake that is the store path *source*.

        As nodes do: `path:` and a store path, without git. Raises `EvaluationError`.
        """
        arguments = [
            *FEATURES,
            *self._store,
            "eval",
            "--raw",
            *_HERMETIC,
            *(["--offline"] if offline else []),
            *self._options,
            *self._arguments,
            f"path:{quote(source)}#{attribute}",
            *("--apply", _DESCRIBE),
        ]
        try:
            lines = self._run("nix", arguments).split("\n")
        except ProgramError as error:
            raise EvaluationError(
                error.message,
                place=attribute,
                hint="try `nix eval` in a fresh clone; is the lock committed and complete?",
            ) from error
        try:
            drv_path, out_path, platform = lines
            if not StorePath.parse(drv_path).is_derivation:
                raise EvaluationError(f"{drv_path} is no derivation", place=attribute)
            StorePath.parse(out_path)
        except (ValueError, BadInputError) as error:
            raise EvaluationError("it is not one derivation", place=attribute) from error
        return Evaluated(drv_path, out_path, platform)

    def build(self, drv_path: str) -> None:
        """Build every output of *drv_path*. Raises `ProgramError`."""
        self._run("nix-store", [*self._store, "--realise", drv_path, *self._options])

    def realise(self, wanted: Sequence[str], options: Sequence[tuple[str, str]], *, with_builders: bool) -> None:
        """Bring about *wanted*: derivations, or some outputs of one (``DRV!out,dev``). What Nix says is passed on.

        *with_builders*: also what builders say. Raises `ProgramError`, with the errors that Nix told.
        """
        more = [word for option, value in options for word in ("--option", option, value)]
        quiet = [] if with_builders else ["--no-build-output"]
        command = [self._named("nix-store"), *self._store, *self._options, *more, *quiet, "--realise", *wanted]
        # The paths that Nix prints are no result of ours.
        program.watch(command, env=self._environment(), with_output=False)

    @property
    def _store(self) -> list[str]:
        root = self._location.root
        return [] if root == Path("/") else ["--store", str(root)]

    def _named(self, name: str) -> str:
        """Return the program *name* of this Nix."""
        return self._program if name == "nix" else str(Path(self._program).with_name(name))

    def _run(self, name: str, arguments: Sequence[str]) -> str:
        # Evaluating and building take what they take: the job has an end.
        answer = program.ask([self._named(name), *arguments], env=self._environment(), deadline=None)
        return answer.output.decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        kept = {name: value for name, value in program.environment().items() if name not in _DROPPED}
        return {
            **kept,
            "HOME": home,
            "XDG_CACHE_HOME": f"{home}/cache",
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_STATE_HOME": f"{home}/state",
            "NIX_USER_CONF_FILES": "/dev/null",
        }
