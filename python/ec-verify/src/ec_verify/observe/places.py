"""Where the things of a machine are that lie outside its store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure.files import open_regular

if TYPE_CHECKING:
    from ec_verify.location import StoreLocation

BOOT = ("/boot", "/efi", "/boot/efi")
"""Where boot partitions are usually mounted."""


@dataclass(frozen=True)
class HostPlaces:
    """The examined machine: its root is the store's, *proc* and *sys* are of the kernel that runs here.

    *boot* are the logical directories that firmware and boot loaders read. Another root has no kernel of its own:
    then command line, modules and helpers of the running kernel are somebody else's, and processes of the machine are
    those whose root directory is that root.
    """

    location: StoreLocation
    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    boot: tuple[str, ...] = BOOT

    @property
    def own_kernel(self) -> bool:
        """Tell whether the kernel that runs here is the examined machine's."""
        return not self.location.is_chroot

    def physical(self, path: str) -> Path:
        """Return where the logical *path* is."""
        return self.location.physical(path)


def read(path: Path, limit: int) -> bytes:
    """Read a regular file of at most *limit* bytes, without following a link at its end.

    Raises `OSError`, also for what is no regular file or larger. Files of /proc say that they are empty; they are read
    all the same.
    """
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(0, f"larger than {limit} bytes", str(path))
    return data


def text(data: bytes) -> str:
    """Return *data* as text in which no byte is lost."""
    return data.decode(errors="surrogateescape")


def said(error: OSError) -> str:
    """Return what the system said."""
    return error.strerror or str(error)
