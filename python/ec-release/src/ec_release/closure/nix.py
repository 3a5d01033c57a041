"""Running Nix: the only module of this program that starts it.

Evaluation sees no user's caches, registries, settings or search path, does not touch the lock and cannot build
(pitfalls P23, P30, P31, P34); the store, the daemon and nix.conf are those of the machine, because they are what built
the system. Nothing reads JSON that Nix prints: seven releases changed it (P1 to P3).
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import quote

from ec_closure.errors import BadInputError
from ec_closure.store_path import StorePath
from ec_release.closure.errors import EvaluationError, ProgramError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_release.closure.location import Location

_FEATURES = ("--extra-experimental-features", "nix-command flakes")
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
_SETTING = re.compile(r"^(?P<name>[a-z0-9-]+) = (?P<value>.*)$", re.MULTILINE)
_VERSION = re.compile(r"\d+\.\d+\S*")
_DESCRIBE = r't: builtins.concatStringsSep "\n" [ t.drvPath t.outPath t.system ]'
_MAX_SAID = 600
_MAX_LINES = 200


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
        # The command moved in 2.20; each release knows at least one of its names.
        answers = (["show-config"], ["config", "show"])
        found: dict[str, str] = {}
        for words in answers:
            try:
                found = dict(_SETTING.findall(self._run("nix", [*_FEATURES, *words, *self._options])))
                break
            except ProgramError:
                if words == answers[-1]:
                    raise
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
            *_FEATURES,
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

    def realise(
        self, wanted: Sequence[str], options: Sequence[tuple[str, str]], log: TextIO, *, with_builders: bool
    ) -> None:
        """Bring about *wanted*: derivations, or some outputs of one (``DRV!out,dev``). What Nix says goes to *log*.

        *with_builders*: also what builders say. Raises `ProgramError`, with the errors that Nix told.
        """
        name = str(Path(self._program).with_name("nix-store"))
        more = [word for option, value in options for word in ("--option", option, value)]
        command = [
            *(name, *self._store, *self._options, *more),
            *([] if with_builders else ["--no-build-output"]),
            *("--realise", *wanted),
        ]
        try:
            # nothing of Nix's belongs into our result
            with subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self._environment(),
                text=True,
                errors="replace",
            ) as running:
                if running.stderr is None:
                    raise ProgramError("has no standard error", place=name)
                said: deque[str] = deque(maxlen=_MAX_LINES)
                for line in running.stderr:
                    log.write(line)
                    said.append(line)
        except OSError as error:
            raise ProgramError(
                f"cannot be run: {error.strerror}", place=name, hint="install Nix 2.8 or newer"
            ) from error
        if running.returncode != 0:
            raise ProgramError(_errors("".join(said)), place=name)

    @property
    def _store(self) -> list[str]:
        root = self._location.root
        return [] if root == Path("/") else ["--store", str(root)]

    def _run(self, program: str, arguments: Sequence[str]) -> str:
        name = self._program if program == "nix" else str(Path(self._program).with_name(program))
        try:
            done = subprocess.run(
                [name, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                env=self._environment(),
            )
        except OSError as error:
            raise ProgramError(
                f"cannot be run: {error.strerror}", place=name, hint="install Nix 2.8 or newer"
            ) from error
        if done.returncode != 0:
            raise ProgramError(_errors(done.stderr.decode(errors="replace")), place=name)
        return done.stdout.decode(errors="replace")

    def _environment(self) -> dict[str, str]:
        home = str(self._home)
        kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
        return {
            **kept,
            "HOME": home,
            "XDG_CACHE_HOME": f"{home}/cache",
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_STATE_HOME": f"{home}/state",
            "NIX_USER_CONF_FILES": "/dev/null",
            "LC_ALL": "C.UTF-8",
        }


def _errors(log: str) -> str:
    """Return what Nix called errors, as one line: the rest is progress and traces, whose form changes."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", log).splitlines()
    # Since 2.30 what a builder did wrong stands in a line of its own.
    errors = [text for line in lines if (text := line.strip()).startswith(("error:", "Reason:")) and text != "error:"]
    said = "; ".join(line.removeprefix("error:").strip() for line in errors) or " ".join(lines[-3:])
    return said[:_MAX_SAID] or "it failed and said nothing"
