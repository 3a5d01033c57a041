"""What Nix has under way in the store directory: half-made paths, chroots, locks.

A half-made path has no canonical metadata yet, so only what no builder can leave is looked for: set-ID bits, devices,
capabilities and other extended attributes. The name of such an entry is no reason to look away.
"""

from __future__ import annotations

import os
import stat
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.nar.directories import OPEN_DIRECTORY
from ec_verify.scan.metadata import strange_attributes
from ec_verify.scan.oddity import Oddity, Tally
from ec_verify.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_ENTRIES = 1_000_000
"""Of all that is under way together: some ten seconds."""
MAX_DEPTH = 128
"""A chroot holds a store, whose paths are 64 deep at most."""
_SET_ID = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class Litter:
    """What a walk showed. *endless* names what is too large or too deep to be seen whole, *unread* what was refused."""

    oddities: tuple[Oddity, ...] = ()
    endless: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


def inspect_litter(
    store: Path, names: Iterable[str], *, max_entries: int = MAX_ENTRIES, max_depth: int = MAX_DEPTH
) -> Litter:
    """Walk through the entries *names* of the directory *store*; no link is followed, and no name used twice.

    What vanishes meanwhile is passed over. Raises OSError when *store* itself cannot be opened.
    """
    walk = _Walk(max_entries, max_depth)
    endless, unread = [], []
    directory = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            try:
                if not walk.through(directory, os.fsencode(name)):
                    endless.append(name)
            except OSError:
                unread.append(name)
    finally:
        os.close(directory)
    return Litter(tuple(walk.tally.oddities()), tuple(endless), tuple(unread))


class _Walk:
    """One walk, with what it may still look at."""

    def __init__(self, entries: int, depth: int) -> None:
        self.tally = Tally()
        self._left = entries
        self._depth = depth

    def through(self, parent: int, root: bytes) -> bool:
        """Look at *root* and all below it; whether that was the whole."""
        stack: list[tuple[int, list[bytes], bytes]] = []  # an open directory, names to do, its own place
        try:
            if not self._visit(parent, root, root, stack):
                return False
            while stack:
                directory, names, place = stack[-1]
                if names:
                    name = names.pop()
                    if not self._visit(directory, name, b"%b/%b" % (place, name), stack):
                        return False
                else:
                    os.close(stack.pop()[0])
        finally:
            for directory, _, _ in stack:
                os.close(directory)
        return True

    def _visit(self, parent: int, name: bytes, place: bytes, stack: list[tuple[int, list[bytes], bytes]]) -> bool:
        if self._left <= 0:
            return False
        self._left -= 1
        with suppress(FileNotFoundError):
            status = os.lstat(name, dir_fd=parent)
            self._judge(place, status, strange_attributes(None, (parent, name)))
            if stat.S_ISDIR(status.st_mode):
                if len(stack) >= self._depth:
                    return False
                return self._enter(parent, name, place, stack)
        return True

    def _enter(self, parent: int, name: bytes, place: bytes, stack: list[tuple[int, list[bytes], bytes]]) -> bool:
        try:
            directory = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
        except NotADirectoryError:
            return True  # swapped meanwhile: it is no directory any more
        names: list[bytes] = []
        stack.append((directory, names, place))
        with closing(os.scandir(directory)) as listing:
            for entry in listing:
                names.append(os.fsencode(entry.name))
                if len(names) > self._left:
                    return False
        return True

    def _judge(self, place: bytes, status: os.stat_result, attributes: list[str]) -> None:
        where = printable(os.fsdecode(place))
        mode = status.st_mode
        if mode & _SET_ID and not stat.S_ISLNK(mode):
            self.tally.add("setid", where, f"mode {stat.S_IMODE(mode):04o}")
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            self.tally.add("stranger", where, "a device")
        if attributes:
            self.tally.add("xattr", where, ", ".join(attributes))
