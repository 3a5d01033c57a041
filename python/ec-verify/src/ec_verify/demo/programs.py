"""Programs of others that the demonstration runs, each in an environment made from nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec_verify.demo.errors import DemoError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NEEDED = {
    "nix": "Nix, 2.8 or newer",
    "nix-store": "Nix, 2.8 or newer",
    "git": "git",
    "bash-static": "a static bash: builders run it as /bin/sh",
    "unshare": "util-linux",
    "mount": "util-linux",
    "nsenter": "util-linux",
    "setcap": "libcap",
    "cp": "coreutils",
    "chroot": "coreutils",
}
_MAX_SAID = 500


@dataclass(frozen=True)
class Ran:
    """How a program ended. Times in seconds."""

    argv: tuple[str, ...]
    exit: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def shown(self) -> str:
        """The command as a person would type it."""
        return shlex.join(self.argv)

    @property
    def said(self) -> str:
        """Everything it wrote."""
        return self.stdout + self.stderr


@dataclass(frozen=True)
class Programs:
    """Runs programs with *environment* as their whole environment and tells *watch* of each."""

    environment: Mapping[str, str]
    watch: Callable[[Ran], None] | None = None

    def attempt(
        self, argv: Sequence[str | Path], *, cwd: Path | None = None, extra: Mapping[str, str] | None = None
    ) -> Ran:
        """Run *argv* and return how it ended. Raises `DemoError` when it cannot be started."""
        words = tuple(map(str, argv))
        started = time.monotonic()
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                cwd=cwd,
                env={**self.environment, **(extra or {})},
            )
        except OSError as error:
            raise DemoError(f"cannot be run: {error.strerror}", place=words[0]) from error
        ran = Ran(
            words,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
            time.monotonic() - started,
        )
        if self.watch is not None:
            self.watch(ran)
        return ran

    def run(
        self, argv: Sequence[str | Path], *, cwd: Path | None = None, extra: Mapping[str, str] | None = None
    ) -> Ran:
        """Run *argv*, which must succeed. Raises `DemoError`."""
        ran = self.attempt(argv, cwd=cwd, extra=extra)
        if ran.exit != 0:
            said = " ".join(ran.said.split())[-_MAX_SAID:]
            raise DemoError(f"ended with exit code {ran.exit}: {said}", place=ran.shown)
        return ran


def environment(home: Path, nix_conf: str) -> dict[str, str]:
    """Return an environment in which Nix reads *nix_conf* and nothing that belongs to the user."""
    (home / "etc").mkdir(parents=True, exist_ok=True)
    (home / "etc" / "nix.conf").write_text(nix_conf)
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "/usr/bin:/bin:/usr/sbin")]),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 - what programs would choose themselves
        "NIX_CONF_DIR": str(home / "etc"),
        "NIX_USER_CONF_FILES": "/dev/null",
        "LC_ALL": "C.UTF-8",
    }


def find_all() -> dict[str, str]:
    """Return where the needed programs are. Raises `DemoError` that names every missing one."""
    found = {name: shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin") for name in NEEDED}
    if missing := [name for name, place in found.items() if place is None]:
        raise DemoError(
            f"missing: {', '.join(f'{name} ({NEEDED[name]})' for name in missing)}",
            hint="./dev setup installs them on Debian",
        )
    return {name: place for name, place in found.items() if place is not None}
