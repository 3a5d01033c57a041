"""The directory /run/every-channel: replaced as a whole, so that a reader sees what was or what is.

    node.json                          a file of its own, replaced last: it says that the rest is there
    ssh, broadcasts, dashboard.token   links to current/…
    current                            a link to .tree-…, the one name that is changed

Every file has the mode and the group that it keeps before it can be reached under any of these names.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import stat
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ec_provision import below
from ec_provision.errors import ApplyError
from ec_provision.tree import DIRECTORIES, NAMES, File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DIRECTORY = "run/every-channel"
APPLIED = "node.json"
_CURRENT = "current"
_OURS = re.compile(r"\.(tree|link|file)-[0-9a-f]{16}")
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def held(root: Path) -> Iterator[State]:
    """Yield the state below *root*, made where it is missing, for this process alone.

    Raises `ApplyError` when another process has it, `OSError`.
    """
    with below.directory(root, DIRECTORY, create=True) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ApplyError("another `ec-provision apply` is under way", place=str(root / DIRECTORY)) from error
        yield State(descriptor)


class State:
    """The directory that *descriptor* is open on. Methods raise `OSError`."""

    def __init__(self, descriptor: int) -> None:
        self._directory = descriptor

    def holds(self, tree: Mapping[str, File], applied: File) -> bool:
        """Tell whether exactly this is there already, with its modes and groups."""
        current = self._target(_CURRENT)
        if not _OURS.fullmatch(current) or any(self._target(name) != f"{_CURRENT}/{name}" for name in NAMES):
            return False
        try:
            if _look(APPLIED, self._directory) != _resolved(applied):
                return False
            found = {
                f"{where}/{name}".removeprefix(f"{current}/"): _look(name, descriptor)
                for where, _, files, descriptor in os.fwalk(current, dir_fd=self._directory)
                for name in files
            }
        except FileNotFoundError:
            return False
        return found == {path: _resolved(file) for path, file in tree.items()}

    def replace(self, tree: Mapping[str, File], applied: File) -> None:
        """Put *tree* and *applied* in the place of what is there: all of it, or nothing. `sweep` removes what was."""
        before, new = self._target(_CURRENT), _name("tree")
        with ExitStack() as undo:
            undo.callback(self.sweep)
            self._write_tree(new, tree)
            for name in NAMES:
                self._link(f"{_CURRENT}/{name}", name)
            undo.callback(self._link, before, _CURRENT)
            self._link(new, _CURRENT)
            aside = _name("file")
            _write(aside, self._directory, applied)
            os.fsync(self._directory)
            os.rename(aside, APPLIED, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            undo.pop_all()

    def sweep(self) -> None:
        """Remove what is not used any more, and what runs left that were killed."""
        current = self._target(_CURRENT)
        for name in os.listdir(self._directory):  # noqa: PTH208 - of a descriptor
            if not _OURS.fullmatch(name) or name == current:
                continue
            if stat.S_ISDIR(os.stat(name, dir_fd=self._directory, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=self._directory)
            else:
                os.unlink(name, dir_fd=self._directory)

    def _target(self, name: str) -> str:
        """Return where a link leads, the empty text for what is no link."""
        try:
            return os.readlink(name, dir_fd=self._directory)
        except OSError:
            return ""

    def _link(self, target: str, name: str) -> None:
        """Make *name* lead to *target*, in one step. No *target*: remove it."""
        if self._target(name) == target:
            return
        if not target:
            os.unlink(name, dir_fd=self._directory)
            return
        aside = _name("link")
        os.symlink(target, aside, dir_fd=self._directory)
        os.rename(aside, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def _write_tree(self, name: str, tree: Mapping[str, File]) -> None:
        os.mkdir(name, 0o700, dir_fd=self._directory)
        with _opened(name, self._directory) as top:
            for directory in DIRECTORIES:
                os.mkdir(directory, 0o700, dir_fd=top)
                with _opened(directory, top) as inner:
                    for path, file in tree.items():
                        if path.rpartition("/")[0] == directory:
                            _write(path.rpartition("/")[2], inner, file)
                    os.fchmod(inner, 0o755)
                    os.fsync(inner)
            for path, file in tree.items():
                if "/" not in path:
                    _write(path, top, file)
            os.fchmod(top, 0o755)
            os.fsync(top)


@contextmanager
def _opened(name: str, directory: int) -> Iterator[int]:
    descriptor = os.open(name, _OPEN, dir_fd=directory)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(name: str, directory: int, file: File) -> None:
    """Write a new file. It is closed to everybody else until its owner and mode are final, whatever the umask."""
    with os.fdopen(os.open(name, _CREATE, 0o600, dir_fd=directory), "wb") as opened:
        opened.write(file.data)
        opened.flush()
        if file.group is not None:
            os.fchown(opened.fileno(), -1, file.group)
        os.fchmod(opened.fileno(), file.mode)
        os.fsync(opened.fileno())


def _look(name: str, directory: int) -> File:
    with os.fdopen(os.open(name, _READ, dir_fd=directory), "rb") as opened:
        status = os.fstat(opened.fileno())
        return File(opened.read(), stat.S_IMODE(status.st_mode), status.st_gid)


def _resolved(file: File) -> File:
    return File(file.data, file.mode, os.getegid() if file.group is None else file.group)


def _name(kind: str) -> str:
    return f".{kind}-{secrets.token_hex(8)}"
