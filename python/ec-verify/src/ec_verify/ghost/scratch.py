"""Scratch room for a ghost store: a directory on a real file system, or a tmpfs of bounded size.

Overlayfs refuses an overlay (and some network file systems) as its upper layer, and the `/` of a
runner is an overlay: so what is there is looked at first. Directories carry a lock that dies with
their process; the next start removes those whose lock is free.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ec_verify.errors import ConfigError, GhostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# f_type of statfs(2): file systems that can carry an upper layer.
_UPPER_CAPABLE = {
    0xEF53: "ext4", 0x58465342: "xfs", 0x9123683E: "btrfs", 0x01021994: "tmpfs", 0xF2F52010: "f2fs",
    0x2FC12FC1: "zfs", 0xCA451A4E: "bcachefs",
}  # fmt: skip
_OVERLAY = 0x794C7630
_PREFIX = "ghost-"
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class ScratchPlan:
    """Where scratch goes: *directory* holds it; *tmpfs_size* in bytes when it is a tmpfs mounted inside."""

    directory: Path
    tmpfs_size: int | None = None

    def steps(self, scratch: Path) -> list[dict[str, Any]]:
        """Return the holder's first steps for the scratch directory *scratch*."""
        if self.tmpfs_size is None:
            return []
        return [{"do": "tmpfs", "at": str(scratch), "size": self.tmpfs_size}]


def parse_size(text: str) -> int:
    """Return the bytes that `512M` or `2G` mean. Raises `ConfigError`."""
    number, unit = text[:-1], text[-1:].upper()
    if unit not in _UNITS or not number.isdecimal() or int(number) == 0:
        raise ConfigError(f"{text!r} is no size", hint="write a number and K, M or G, such as tmpfs:2G")
    return int(number) * _UNITS[unit]


def plan(setting: str, state_dir: Path) -> ScratchPlan:
    """Choose scratch by the *setting* `auto`, `/directory` or `tmpfs:SIZE`. Raises `ConfigError`, `GhostError`."""
    base = state_dir / "scratch"
    if setting.startswith("tmpfs:"):
        return ScratchPlan(base, parse_size(setting.removeprefix("tmpfs:")))
    if setting != "auto":
        chosen = Path(setting)
        if not chosen.is_absolute():
            raise ConfigError(f"rebuild.scratch {setting!r} is neither auto, an absolute path nor tmpfs:SIZE")
        kind = file_system(chosen)
        if kind not in _UPPER_CAPABLE:
            raise GhostError(
                f"scratch {chosen} lies on a file system that overlayfs refuses (type {kind:#x})",
                hint="name a directory on ext4, xfs or btrfs, or tmpfs:2G",
            )
        return ScratchPlan(chosen)
    if file_system(base) in _UPPER_CAPABLE:
        return ScratchPlan(base)
    return ScratchPlan(base, available_memory() // 2)


def available_memory() -> int:
    """Return the bytes of memory that the kernel calls available."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise GhostError("the kernel does not tell how much memory is available", hint="set rebuild.scratch")


def file_system(path: Path) -> int:
    """Return statfs' f_type of *path*, or of its nearest parent that exists."""
    while not path.exists():
        path = path.parent
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(256)
    if libc.statfs(os.fsencode(path), buffer) != 0:
        raise GhostError(f"statfs: {os.strerror(ctypes.get_errno())}", place=str(path))
    return ctypes.c_long.from_buffer(buffer).value & 0xFFFFFFFF


class Scratch:
    """One scratch directory, locked while it is in use; a context manager."""

    def __init__(self, planned: ScratchPlan) -> None:
        self.plan = planned
        self.path = planned.directory / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        self._lock = -1

    def __enter__(self) -> Self:
        try:
            self.plan.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            sweep(self.plan.directory)
            self.path.mkdir(mode=0o700)
            self._lock = os.open(_lock_file(self.path), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise GhostError(f"no scratch: {error.strerror}", place=str(self.path)) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove_tree(self.path)
        _lock_file(self.path).unlink(missing_ok=True)
        os.close(self._lock)


def _lock_file(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def sweep(directory: Path) -> list[Path]:
    """Remove what a run left behind that was killed; returns it. Scratch of live runs is kept: its lock is held."""
    removed = []
    for lock_file in sorted(directory.glob(f"{_PREFIX}*.lock")):
        try:
            lock = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # another start was quicker
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            path = lock_file.with_suffix("")
            remove_tree(path)
            lock_file.unlink(missing_ok=True)
            removed.append(path)
        finally:
            os.close(lock)
    return removed


def remove_tree(path: Path) -> None:
    """Remove a tree of store paths, whose directories are read-only."""

    def unlock(function: Callable[..., Any], name: str, _error: object) -> None:
        os.chmod(os.path.dirname(name), stat.S_IRWXU)  # noqa: PTH101, PTH120 - rmtree hands over text
        if stat.S_ISDIR(os.lstat(name).st_mode):
            os.chmod(name, stat.S_IRWXU)  # noqa: PTH101
            shutil.rmtree(name)
        else:
            function(name)

    if path.exists():
        shutil.rmtree(path, onerror=unlock)
