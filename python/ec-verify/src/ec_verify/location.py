"""Where a store lies: logical paths are what references say, physical paths are where the bytes are.

The two differ for chroot stores (`--root`): `/nix/store/x` lies in `ROOT/nix/store/x`. Everything
maps once, here (pitfall P39).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ec_verify.errors import ConfigError

STORE_DIR = "/nix/store"
STATE_DIR = "/nix/var/nix"


def base_name(path: str) -> str:
    """Return what follows the last slash: a store path's name inside the store directory."""
    return path.rpartition("/")[2]


@dataclass(frozen=True)
class StoreLocation:
    """A store: *store_dir* and *state_dir* are logical, under *root*."""

    root: Path = Path("/")
    store_dir: str = STORE_DIR
    state_dir: str = STATE_DIR

    def __post_init__(self) -> None:
        for name, value in (("store directory", self.store_dir), ("state directory", self.state_dir)):
            if value == "/" or not value.startswith("/") or value.startswith("//") or os.path.normpath(value) != value:
                raise ConfigError(
                    f"the {name} {value!r} is not an absolute path in its shortest form", hint=f"such as {STORE_DIR}"
                )
        if self.is_chroot and (self.store_dir, self.state_dir) != (STORE_DIR, STATE_DIR):
            raise ConfigError(
                "another store directory inside another root",
                hint="Nix knows chroot stores with the usual directories, or other directories without a root",
            )

    @property
    def is_chroot(self) -> bool:
        """Tell whether logical and physical paths differ."""
        return self.root != Path("/")

    def physical(self, path: str) -> Path:
        """Return where the bytes of the logical *path* are."""
        return self.root / path.lstrip("/")

    @property
    def store(self) -> Path:
        """The physical store directory."""
        return self.physical(self.store_dir)

    @property
    def state(self) -> Path:
        """The physical state directory."""
        return self.physical(self.state_dir)

    def is_store_path(self, path: str) -> bool:
        """Tell whether *path* is directly inside the store directory."""
        return path.startswith(self.store_dir + "/") and "/" not in path[len(self.store_dir) + 1 :]

    def uri(self, log_dir: Path) -> str:
        """Return the store address for `nix --store`: always named, so that no daemon is used (design §6)."""
        if self.is_chroot:
            return f"local?root={quote(str(self.root))}&log={quote(str(log_dir))}"
        return "local"

    def environment(self) -> dict[str, str]:
        """Return the variables that make Nix use these directories."""
        if self.is_chroot or (self.store_dir, self.state_dir) == (STORE_DIR, STATE_DIR):
            return {}
        return {"NIX_STORE_DIR": self.store_dir, "NIX_STATE_DIR": self.state_dir}
