"""`.links`: what `nix-store --optimise` keeps, a hard link to every file of the store under the hash of its archive.

Nix makes files and symlinks there that are canonical, since they are those of store paths, and nothing else. Bytes that
are those of scanned paths are not hashed again. Those of a link whose last path was collected are hashed, for Nix gives
them to the next path with a file of that hash.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from typing import TYPE_CHECKING

from ec_closure import nix32
from ec_closure.nar.directories import OPEN_DIRECTORY
from ec_closure.nar.errors import TreeError
from ec_closure.nar.hash import hash_path
from ec_verify.scan.directory import inspect_directory
from ec_verify.scan.metadata import Anomaly, reporter
from ec_verify.scan.oddity import Oddity, Tally
from ec_verify.scan.sparse import bounded
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
    be read. Not checked: the bytes of an entry that has another name, which should be in a scanned path.
    """
    try:
        directory = os.open(store / LINKS, OPEN_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return []  # what is no directory is an entry like any other
    try:
        return [*inspect_directory(directory, LINKS, owner), *_entries(store / LINKS, directory, owner)]
    finally:
        os.close(directory)


def _entries(links: Path, directory: int, owner: Owner) -> list[Oddity]:
    tally = Tally()

    def report(anomaly: Anomaly) -> None:
        tally.add(anomaly.kind, f"{LINKS}/{anomaly.relative}", anomaly.detail)

    inspect = reporter(owner, report)
    names: dict[int, list[str]] = {}
    alone: list[str] = []
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
            else:
                names.setdefault(status.st_ino, []).append(entry.name)
                if status.st_nlink == 1:
                    alone.append(entry.name)
    # Of several names of one file at most one is right, and none of them is a path that is scanned.
    for link in (*alone, *(twin for twins in names.values() if len(twins) > 1 for twin in twins)):
        if (wrong := _wrong(links / link)) is not None:
            tally.add("content", f"{LINKS}/{link}", wrong)
    return tally.oddities()


def _wrong(link: Path) -> str | None:
    """Say in what a link's bytes are not those that its name promises; None when they are, or when it is gone."""
    try:
        seen = hash_path(link, bounded(None)).hash
    except TreeError as error:
        if not os.path.lexists(link):
            return None
        raise OSError(errno.EIO, str(error)) from error
    return None if nix32.encode(seen.digest) == link.name else f"its bytes deserve the name {nix32.encode(seen.digest)}"
