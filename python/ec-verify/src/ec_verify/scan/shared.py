"""One altered file that many paths share: `nix-store --optimise` makes hard links, so one bad sector breaks them all.

The name of an entry of `.links` is the hash of the file's archive, which says which of the shared files was altered
(pitfall P43). Only asked about paths that were seen to be altered: on a healthy node nothing is read here.
"""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING

from ec_closure import nix32
from ec_closure.errors import EcError
from ec_closure.nar.hash import hash_path
from ec_verify.scan.links import LINKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ec_closure.manifest import Manifest
    from ec_verify.location import StoreLocation
    from ec_verify.scan.path import PathObservation

_MAX_ENTRIES = 1_000_000
_MAX_FILES = 4096
_SLACK = 4096  # what an archive has around the bytes of one file


def altered_links(
    location: StoreLocation, manifests: Iterable[Manifest], seen: dict[str, PathObservation]
) -> dict[str, tuple[str, ...]]:
    """Return, for altered paths, the names in `.links` of altered files that they share with other altered paths.

    What cannot be read, or is beyond the millionth entry or the 4096th shared file, is left out: this explains, and
    decides nothing. Never raises for what lies on the disk.
    """
    altered = {
        record.path
        for manifest in manifests
        for record in (*manifest.paths, *manifest.contents)
        if record.path in seen and seen[record.path].nar_hash not in (None, record.nar_hash)
    }
    if len(altered) < 2:  # noqa: PLR2004 - what one path has it shares with none
        return {}
    holders = _holders(location, sorted(altered))
    found: dict[str, list[str]] = defaultdict(list)
    links = location.store / LINKS
    for inode, name in _names(str(links), holders.keys()):
        if _is_altered(links / name, name):
            for path in holders[inode]:
                found[path].append(name)
    return {path: tuple(sorted(names)) for path, names in found.items()}


def _holders(location: StoreLocation, paths: list[str]) -> dict[int, set[str]]:
    """Return the files that at least two of *paths* hold, by inode, with those paths."""
    holders: dict[int, set[str]] = defaultdict(set)
    files = ((path, status) for path in paths for status in _files(str(location.physical(path))))
    for path, status in islice(files, _MAX_ENTRIES):
        if status.st_nlink > 1:
            holders[status.st_ino].add(path)
    shared = sorted(inode for inode, some in holders.items() if len(some) > 1)
    return {inode: holders[inode] for inode in shared[:_MAX_FILES]}


def _files(root: str) -> Iterator[os.stat_result]:
    """Yield the status of every regular file at or below *root*; symlinks are not followed."""
    todo = [root]
    try:
        status = os.lstat(root)
    except OSError:
        return
    if stat.S_ISREG(status.st_mode):
        yield status
    if not stat.S_ISDIR(status.st_mode):
        return
    while todo:
        try:
            with os.scandir(todo.pop()) as listing:
                for entry in listing:
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        yield entry.stat(follow_symlinks=False)
        except OSError:
            continue


def _names(links: str, inodes: Iterable[int]) -> Iterator[tuple[int, str]]:
    wanted = set(inodes)
    if not wanted:
        return
    try:
        with os.scandir(links) as listing:
            for entry in listing:
                if entry.inode() in wanted:
                    yield entry.inode(), entry.name
    except OSError:
        return


def _is_altered(file: Path, name: str) -> bool:
    try:
        seen = hash_path(file, limit=os.lstat(file).st_size + _SLACK)
    except (EcError, OSError):
        return False
    return nix32.encode(seen.hash.digest) != name
