"""Removing trees that are as deep and as read-only as those of a store."""

from __future__ import annotations

import contextlib
import os
import stat as mode_bits

from ec_closure.nar.directories import OPEN_DIRECTORY, DirectoryStack
from ec_closure.nar.errors import changed, printable


def remove_tree(parent: int, name: bytes) -> None:
    """Remove *name* below the open directory *parent*, whatever it is; symlinks are removed, not followed.

    Directories are made writable first, since those of a store are not, which stops everyone but root. Raises
    `OSError`, and `TreeChangedError` if a directory is moved meanwhile, before anything outside the tree is touched.
    """
    if not mode_bits.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    trail = [name]
    with contextlib.closing(DirectoryStack()) as stack:
        todo = [_enter(stack, parent, name)]
        while todo:
            if todo[-1]:
                trail.append(todo[-1].pop())
                todo.append(_enter(stack, stack.fd, trail[-1]))
                continue
            todo.pop()
            if not stack.pop():
                raise changed(printable(b"/".join(trail)), "its directory was moved")
            os.rmdir(trail.pop(), dir_fd=stack.fd if stack else parent)


def _enter(stack: DirectoryStack, parent: int, name: bytes) -> list[bytes]:
    """Go down into a directory, remove all in it but directories, and return the names of those."""
    fd = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
    stack.push(fd, os.fstat(fd))
    os.fchmod(fd, 0o700)
    directories = []
    with os.scandir(fd) as found:
        entries = list(found)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            directories.append(os.fsencode(entry.name))
        else:
            os.unlink(entry.name, dir_fd=fd)
    return directories
