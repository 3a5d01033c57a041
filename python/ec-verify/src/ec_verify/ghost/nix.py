"""Running Nix: the only module that starts it, always inside a ghost, with a configuration of ours.

What the node's nix.conf, environment, registry, caches or user files say must not reach an
evaluation or a build whose result is evidence. So the environment is made from nothing, the
configuration is written anew, and the store is named (design §6; pitfalls P23, P30, P34, P38).
"""

from __future__ import annotations

import grp
import os
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ec_verify.errors import NixError
from ec_verify.ghost.cgroup import Group
from ec_verify.ghost.events import Activity, Reader
from ec_verify.ghost.limits import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ec_verify.ghost.limits import Limits, Spent
    from ec_verify.ghost.namespace import Namespace
    from ec_verify.location import StoreLocation

_MINIMUM = (2, 8)
_BUILD_DIR = (2, 26)
_MAX_LINE = 2 << 20
# Paths, mostly; what a flake prints in their place must not fill the memory.
_MAX_OUTPUT = 1 << 20
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


@dataclass(frozen=True)
class NixSettings:
    """What an operator decides about Nix.

    *sandbox_paths* as in nix.conf; *substituters* and *trusted_keys* serve the fetch phase alone;
    *jobs* 0 means all; *timeout* in seconds for one derivation, *silent* without a word from it. *group* is what
    all of it runs in.
    """

    program: str = "nix"
    sandbox_paths: tuple[str, ...] = ()
    substituters: tuple[str, ...] = ()
    trusted_keys: tuple[str, ...] = ()
    jobs: int = 0
    timeout: int = 3600
    silent: int = 1800
    group: Group = field(default_factory=lambda: Group(None, 0, 0))


@dataclass(frozen=True)
class NixPrograms:
    """The programs, found once, outside the ghost."""

    nix: str
    nix_store: str
    version: str

    @property
    def knows_build_dir(self) -> bool:
        """Tell whether builds go where `build-dir` says; older ones follow TMPDIR."""
        major, minor = self.version.split(".")[:2]
        return (int(major), int(minor)) >= _BUILD_DIR

    @classmethod
    def find(cls, program: str) -> NixPrograms:
        """Find Nix and its version. Raises `NixError` when it is not there or too old."""
        found = shutil.which(program)
        if found is None:
            raise NixError(f"{program} is not on the PATH", hint="install Nix 2.8 or newer, or set nix.program")
        nix_store = str(Path(found).with_name("nix-store"))
        if not os.access(nix_store, os.X_OK):
            raise NixError(f"{nix_store} is missing", hint="nix-store is looked for beside nix")
        answer = subprocess.run(
            [found, "--version"], capture_output=True, text=True, check=False, env={"HOME": "/nonexistent"}
        ).stdout
        match = _VERSION.search(answer)
        if match is None:
            raise NixError(f"{found} --version answers {answer.strip()!r}")
        if (int(match[1]), int(match[2])) < _MINIMUM:
            raise NixError(f"Nix {match[0]} is too old", hint="2.8 is the oldest that is supported")
        return cls(found, nix_store, match[0])


def configuration(settings: NixSettings, *, fetch: bool, build_users: str = "") -> str:
    """Return a nix.conf. Only the *fetch* phase may substitute; the other only builds (design §6)."""
    lines = {
        "experimental-features": "nix-command flakes",
        "substitute": "true" if fetch else "false",
        "substituters": " ".join(settings.substituters) if fetch else "",
        "trusted-public-keys": " ".join(settings.trusted_keys) if fetch else "",
        "require-sigs": "true",
        "builders": "",
        "sandbox": "true",
        "sandbox-fallback": "false",
        "sandbox-paths": " ".join(settings.sandbox_paths),
        "extra-sandbox-paths": "",
        "post-build-hook": "",
        "pre-build-hook": "",
        "run-diff-hook": "false",
        "diff-hook": "",
        "secret-key-files": "",
        "build-users-group": build_users,
        "max-jobs": "0" if fetch else str(settings.jobs or os.cpu_count() or 1),
        "cores": "0",
        "timeout": str(settings.timeout),
        "max-silent-time": str(settings.silent),
        "keep-failed": "false",
        # What builders say is read from the events; nobody reads a file for each of them.
        "keep-build-log": "false",
        "auto-optimise-store": "false",
        "fsync-metadata": "false",
        "min-free": "0",
        "flake-registry": "",
        "accept-flake-config": "false",
        "allow-import-from-derivation": "false",
        "pure-eval": "true",
        "warn-dirty": "false",
    }
    return "".join(f"{key} = {value}\n" for key, value in lines.items())


def build_users_group(state: Path) -> str:
    """Return the group whose users build inside; empty when builders run as the user of the ghost.

    Nix kills everything that runs as a build user before it uses one, so users may only be taken
    from a pool that is shared with the host's own builds: where *state* has none, there are none.
    """
    if os.geteuid() != 0 or not shared_pools(state):
        return ""
    try:
        return "nixbld" if grp.getgrnam("nixbld").gr_mem else ""
    except KeyError:
        return ""


def shared_pools(state: Path) -> list[str]:
    """Return the directories of *state* by which builds on this machine share out build users."""
    return [pool for pool in ("userpool", "userpool2") if (state / pool).is_dir()]


@dataclass(frozen=True)
class NixResult:
    """How an invocation ended. *stopped* says which of its limits ended it."""

    exit: int
    stdout: str
    activity: Activity
    stopped: Spent = ""

    def complaint(self) -> str:
        """Return the first error as one line."""
        for message in self.activity.messages:
            line = " ".join(message.split())
            if line:
                # From 2.20 on Nix tells the way first and the error last, which is then the one that counts.
                return (f"error: {line.rpartition('error: ')[2]}" if line.startswith("error: … ") else line)[:500]
        return f"Nix ended with exit code {self.exit} and said nothing"


class NixRunner:
    """Runs Nix inside *namespace* on *location*; *home* is a fresh directory inside scratch."""

    def __init__(
        self,
        namespace: Namespace,
        location: StoreLocation,
        programs: NixPrograms,
        settings: NixSettings,
        home: Path,
    ) -> None:
        self._namespace = namespace
        self._location = location
        self._programs = programs
        self._settings = settings
        self._home = home

    def prepare(self) -> None:
        """Write both configurations into the fresh home. Call once, before the first run."""
        view = self._namespace.view(self._home)
        for name in ("home", "log", "tmp", "fetch", "build"):
            (view / name).mkdir(parents=True, exist_ok=True)
        builds = f"build-dir = {self._home / 'tmp'}\n" if self._programs.knows_build_dir else ""
        users = build_users_group(self._location.state)
        for phase in ("fetch", "build"):
            text = configuration(self._settings, fetch=phase == "fetch", build_users=users) + builds
            (view / phase / "nix.conf").write_text(text)

    def environment(self, *, fetch: bool) -> dict[str, str]:
        """Return the whole environment: nothing of ours leaks into it."""
        home = str(self._home / "home")
        return {
            "PATH": os.environ.get("PATH", "/run/current-system/sw/bin:/usr/bin:/bin"),
            "HOME": home,
            "XDG_CACHE_HOME": f"{home}/cache",
            "XDG_CONFIG_HOME": f"{home}/config",
            "XDG_DATA_HOME": f"{home}/data",
            "XDG_STATE_HOME": f"{home}/state",
            "XDG_RUNTIME_DIR": f"{home}/run",
            "TMPDIR": str(self._home / "tmp"),
            "NIX_CONF_DIR": str(self._home / ("fetch" if fetch else "build")),
            "NIX_USER_CONF_FILES": "/dev/null",
            "NIX_LOG_DIR": str(self._home / "log"),
            "LC_ALL": "C.UTF-8",
            **self._location.environment(),
        }

    def nix_store(
        self,
        arguments: Sequence[str],
        *,
        fetch: bool = False,
        stdin: bytes | None = None,
        progress: Callable[[str, bool], None] | None = None,
        limits: Limits | None = None,
    ) -> NixResult:
        """Run `nix-store`, within *limits*. With *fetch* it may use the network and substitute, but build nothing."""
        return self._run(
            self._programs.nix_store, arguments, fetch=fetch, stdin=stdin, progress=progress, limits=limits
        )

    def nix(self, arguments: Sequence[str], limits: Limits | None = None) -> NixResult:
        """Run `nix`, without network, within *limits*."""
        return self._run(self._programs.nix, arguments, fetch=False, stdin=None, progress=None, limits=limits)

    def _run(
        self,
        program: str,
        arguments: Sequence[str],
        *,
        fetch: bool,
        stdin: bytes | None,
        progress: Callable[[str, bool], None] | None,
        limits: Limits | None = None,
    ) -> NixResult:
        store = self._location.uri(self._home / "log")
        argv = [program, "--store", store, "--log-format", "internal-json", *arguments]
        activity = Activity()
        reader = Reader(activity, progress)
        output = bytearray()
        group = self._settings.group
        kills = group.kills()
        with (
            subprocess.Popen(
                group.command(self._namespace.command(argv, network=fetch)),
                stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self.environment(fetch=fetch) | _bounds(limits),
                process_group=0,
            ) as process,
            Guard(process.pid, limits) as guard,
        ):
            _converse(process, stdin, reader.feed, output)
        stopped = guard.spent or ("memory" if group.kills() > kills else "")
        return NixResult(process.returncode, output.decode(errors="replace"), activity, stopped)


def _bounds(limits: Limits | None) -> dict[str, str]:
    """Return what keeps the evaluator's collector within its memory: it says that it is out of memory, and ends."""
    return {"GC_MAXIMUM_HEAP_SIZE": str(limits.memory)} if limits is not None and limits.memory else {}


def _converse(
    process: subprocess.Popen[bytes], stdin: bytes | None, feed: Callable[[bytes], None], output: bytearray
) -> None:
    def drain() -> None:
        while process.stdout is not None and (piece := os.read(process.stdout.fileno(), 1 << 16)):
            output.extend(piece[: _MAX_OUTPUT - len(output)])

    def supply() -> None:
        if process.stdin is not None and stdin is not None:
            try:
                process.stdin.write(stdin)
                process.stdin.close()
            except BrokenPipeError:
                return  # Nix ended early; its exit code tells

    threads = [threading.Thread(target=drain), threading.Thread(target=supply)]
    for thread in threads:
        thread.start()
    # A line without an end must not be held in memory; its pieces are no events.
    while process.stderr is not None and (line := process.stderr.readline(_MAX_LINE)):
        feed(line)
    for thread in threads:
        thread.join()
