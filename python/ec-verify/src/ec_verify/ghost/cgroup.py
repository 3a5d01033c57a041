"""A control group for what the ghost starts, so that evaluation and builds cost others little.

Only inside what was delegated to us (systemd: `Delegate=yes`): the rest of the hierarchy is its manager's. A group that
has controllers for its children may hold no process itself (cgroups(7), "no internal processes"), so ours go into one
of their own. A weight counts among siblings: against other services it is the unit's own that counts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ec_verify.ghost.scratch import file_system
from ec_verify.priority import current

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

MOUNT = Path("/sys/fs/cgroup")
_MAGIC = 0x63677270
_OURS = "verifier"
_PREFIX = "ghost-"
_MARKS = ("trusted.delegate", "user.delegate")
_TRIES = 10
# The process moves itself before it starts anything: moved from outside, it might have children already.
_ENTER = "import os, sys; open(sys.argv[1], 'w').write('0'); os.execvp(sys.argv[2], sys.argv[2:])"


def marked(group: Path) -> bool:
    """Tell whether systemd says that it delegated *group*: an extended attribute (systemd.resource-control(5))."""
    for name in _MARKS:
        with contextlib.suppress(OSError):
            if os.getxattr(group, name) == b"1":
                return True
    return False


def delegated(
    mount: Path = MOUNT, own: Path = Path("/proc/self/cgroup"), is_marked: Callable[[Path], bool] = marked
) -> Path | None:
    """Return the group that is ours to divide, None where there is none.

    That is the group of this process when its manager says so, or the one above `verifier`, where an earlier ghost of
    this process put it, or systemd's `DelegateSubgroup=`. Anything else above us is somebody else's.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return None
    name = next((line[3:] for line in lines if line.startswith("0::/")), None)
    if name is None or ".." in name.split("/"):
        return None
    group = mount / name.lstrip("/")
    if group.name == _OURS:
        group = group.parent
    return group if is_marked(group) and os.access(group / "cgroup.subtree_control", os.W_OK) else None


def is_version_2(mount: Path) -> bool:
    """Tell whether a hierarchy of version 2 is mounted at *mount*."""
    return mount.is_dir() and file_system(mount) == _MAGIC


def usable() -> Path | None:
    """Return what `delegated` does, where the machine has a hierarchy of version 2."""
    return delegated() if is_version_2(MOUNT) else None


class Group:
    """A group below *base* with *weight* for processors and devices and *memory* in bytes; a context manager.

    0 leaves a thing alone; with both 0, or without *base*, there is none. *said* tells in words what applies. Nothing
    is raised: what the kernel refuses is part of these words. *remove* takes the group away.
    """

    def __init__(
        self, base: Path | None, weight: int, memory: int, remove: Callable[[Path], None] = Path.rmdir
    ) -> None:
        self.said = ""
        self._base = base
        self._weight = weight
        self._memory = memory
        self._remove = remove
        self._path: Path | None = None

    def __enter__(self) -> Self:
        if not (self._weight or self._memory):
            return self
        refused = ""
        if self._base is not None:
            try:
                self._make(self._base)
            except OSError as error:
                refused = f" ({error.strerror})"
                self._drop()
        if self._path is None:
            memory = ", no memory limit" if self._memory else ""
            self.said = f"no delegated cgroup{refused}: nice {current()}{memory}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()

    def command(self, argv: Sequence[str]) -> list[str]:
        """Return *argv* as a command that runs in the group."""
        if self._path is None:
            return list(argv)
        return [sys.executable, "-I", "-S", "-B", "-c", _ENTER, str(self._path / "cgroup.procs"), *argv]

    def kills(self) -> int:
        """Return how often the kernel ended something because the group had no memory left."""
        if self._path is None:
            return 0
        try:
            lines = (self._path / "memory.events").read_text().splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def _make(self, base: Path) -> None:
        for left in base.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):  # of another run that works
                self._remove(left)
        _withdraw(base)
        there = (base / "cgroup.controllers").read_text().split()
        granted = [name for name in ("cpu", "io", "memory") if name in there]
        for name in granted:
            _write(base / "cgroup.subtree_control", f"+{name}")
        path = base / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        path.mkdir()
        self._path = path
        said = []
        if self._weight:
            if "cpu" in granted:
                _write(path / "cpu.weight", str(self._weight))
                said.append(f"cpu weight {self._weight} in a unit of {_weight(base)}")
            else:
                said.append(f"no cpu controller, nice {current()}")
            if "io" in granted:
                _write(path / "io.weight", str(self._weight))
        if self._memory and "memory" in granted:
            _write(path / "memory.max", str(self._memory))
            # A build of which one process was killed looks like one that fails by itself.
            _write(path / "memory.oom.group", "1")
            said.append(f"memory {self._memory >> 20} MiB")
        elif self._memory:
            said.append("no memory controller")
        self.said = f"cgroup: {', '.join(said)}"

    def _drop(self) -> None:
        path, self._path = self._path, None
        if path is None:
            return
        # The namespace ended everything inside. What cannot be removed goes with the unit, or with the next start.
        with contextlib.suppress(OSError):
            _write(path / "cgroup.kill", "1")
        with contextlib.suppress(OSError):
            self._remove(path)


def _withdraw(base: Path) -> None:
    """Move every process of *base* itself into a group below it; those that they start meanwhile, too."""
    ours = base / _OURS
    for _ in range(_TRIES):
        found = (base / "cgroup.procs").read_text().split()
        if not found:
            return
        ours.mkdir(exist_ok=True)
        for pid in found:
            with contextlib.suppress(ProcessLookupError):  # it ended
                _write(ours / "cgroup.procs", pid)


def _weight(base: Path) -> str:
    try:
        return one if (one := (base / "cpu.weight").read_text().strip()).isdecimal() else "unknown weight"
    except OSError:
        return "unknown weight"


def _write(file: Path, text: str) -> None:
    with file.open("w") as opened:
        opened.write(text)
