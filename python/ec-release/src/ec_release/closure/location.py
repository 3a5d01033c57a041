"""Where the store lies: logical paths stay `/nix/store/…`, the bytes of a chroot store are under its root."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ec_closure.store_path import STORE_DIR


@dataclass(frozen=True)
class Location:
    """A store with the usual directories, under *root* (pitfall P39)."""

    root: Path = Path("/")

    @property
    def state_dir(self) -> Path:
        """Where the store's database is."""
        return self.physical("/nix/var/nix")

    def physical(self, path: str) -> Path:
        """Return where the bytes of the logical *path* are."""
        return self.root / path.lstrip("/")

    def store_path_of(self, path: str) -> str | None:
        """Return the store path that the logical *path* is or lies in."""
        prefix = STORE_DIR + "/"
        if not path.startswith(prefix):
            return None
        return prefix + path[len(prefix) :].partition("/")[0]
