"""`.links`: what `nix-store --optimise` keeps, a hard link to every file of the store under the hash of its archive.

Nix makes files and symlinks there that are canonical, since they are those of store paths, and nothing else. The bytes
are not hashed here: they are those of scanned paths, but for links whose last path was collected.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from ec_closure import nix32
from ec_closure.nar.directories import OPEN_DIRECTORY
from ec_verify.scan.directory import inspect_directory
from ec_verify.scan.metadata import Anomaly, reporter
from ec_verify.scan.oddity import Oddity, Tally
from ec_verify.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.scan.metadata import Owner

LINKS = ".links"
# The base-32 of 256 bits; its first character has one bit.
_NAME = re.compile(rb"[01][%b]{51}" % nix32.ALPHABET.encode())


def inspect_links(store: Path, owner: Owner) -> list[Oddity]:
    """Return what is wrong in `.links` of the directory *store*: nothing when there is none.

    One listing, and two system calls an entry. What vanishes meanwhile is passed over. Raises OSError when it cannot
    be read.
    """
    try:
        directory = os.open(store / LINKS, OPEN_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return []  # what is no directory is an entry like any other
    try:
        return [*inspect_directory(directory, LINKS, owner), *_entries(directory, owner)]
    finally:
        os.close(directory)


def _entries(directory: int, owner: Owner) -> list[Oddity]:
    tally = Tally()

    def report(anomaly: Anomaly) -> None:
        tally.add(anomaly.kind, f"{LINKS}/{anomaly.relative}", anomaly.detail)

    inspect = reporter(owner, report)
    with os.scandir(directory) as listing:
        for entry in listing:
            name = os.fsencode(entry.name)
            try:
                status = os.lstat(name, dir_fd=directory)
                inspect(name, status, None, (directory, name))
            except FileNotFoundError:
                continue
            if not _NAME.fullmatch(name):
                tally.add("stranger", f"{LINKS}/{printable(entry.name)}", "its name is no hash")
            elif not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
                tally.add("stranger", f"{LINKS}/{entry.name}", "neither a file nor a symlink")
    return tally.oddities()
