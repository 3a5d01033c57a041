"""A staged release, read back: its files are hashed before it is served, and recognised while it is."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ec_closure import files
from ec_netboot.errors import ImageError
from ec_netboot.state import told

if TYPE_CHECKING:
    from pathlib import Path

    from ec_netboot.release import FileName, ImageFile, Release
    from ec_netboot.state import State

_CHUNK = 1 << 20

SERVED: tuple[FileName, ...] = ("kernel", "initrd")
"""What machines load. The image's own script is read, never served."""


class Fingerprint(NamedTuple):
    """What of a file changes when its bytes do: a writer cannot set *ctime*, short of the machine's clock."""

    device: int
    inode: int
    size: int
    mtime: int
    ctime: int


@dataclass(frozen=True)
class Staged:
    """A release whose files were hashed. *directory* is its name among the releases."""

    release: Release
    directory: str
    path: Path
    fingerprints: dict[FileName, Fingerprint]

    def open(self, name: FileName) -> BinaryIO:
        """Open the file *name*, whose bytes are those that were hashed. Raises `ImageError`, `StateError`."""
        file = self.path / name
        with told(file):
            stream = files.open_regular(file)
            if fingerprint(stream) == self.fingerprints[name]:
                return stream
            stream.close()
        raise ImageError("changed since it was verified", place=str(file), hint="stage it again")


def load(state: State, directory: str) -> Staged:
    """Hash the release in *directory* and return it. Raises `ImageError` when a file is not what was staged.

    Not checked: signatures, which were when it was staged; whoever can write here can replace release and description.
    """
    release = state.release(directory)
    if directory.partition(".")[0] != release.archive:
        raise ImageError("is another release than its name says", place=directory, hint="stage it again")
    path = state.releases / directory
    return Staged(release, directory, path, {name: _hash(path / name, release.files[name]) for name in release.files})


def _hash(file: Path, said: ImageFile) -> Fingerprint:
    with told(file), files.open_regular(file) as stream:
        before = fingerprint(stream)
        digest = hashlib.sha256()
        while piece := stream.read(_CHUNK):
            digest.update(piece)
        after = fingerprint(stream)
    if digest.hexdigest() != said.sha256 or before.size != said.size or before != after:
        raise ImageError("is not what was staged", place=str(file), hint="stage it again")
    return before


def fingerprint(stream: BinaryIO) -> Fingerprint:
    """Return the fingerprint of an open file."""
    status = os.fstat(stream.fileno())
    return Fingerprint(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
