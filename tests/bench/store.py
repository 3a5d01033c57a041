"""A store of this machine's own files, for figures that are about real trees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# Real files of any Linux machine: many small ones, some large ones.
_SOURCES = ("/usr/lib/python3", "/usr/share/perl", "/usr/share/doc", "/usr/lib/git-core", "/usr/bin", "/usr/include")


class Store:
    """A store in *root* with *paths*, each a copy of a directory of this machine."""

    def __init__(self, root: Path, *, limit: int = 600 << 20) -> None:
        self.root = root
        self.store_dir = str(root / "store")
        self.state_dir = str(root / "var")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(root / "home"),
            "NIX_STORE_DIR": self.store_dir,
            "NIX_STATE_DIR": self.state_dir,
            "NIX_LOG_DIR": str(root / "log"),
            "NIX_CONF_DIR": str(root / "etc"),
            "NIX_CONFIG": "experimental-features = nix-command flakes\n"
            "substituters =\nsandbox = false\nbuild-users-group =\n",
        }
        (root / "home").mkdir(parents=True)
        self.paths: list[str] = []
        size = 0
        for number, source in enumerate(_directories()):
            amount = sum(file.lstat().st_size for file in source.rglob("*") if file.is_file())
            if size + amount > limit:
                continue
            size += amount
            command = ["nix", "store", "add-path", "--name", f"tree-{number}", str(source)]
            self.paths.append(self.run(*command).strip())

    def run(self, *argv: str) -> str:
        """Run a program on this store and return its standard output."""
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, check=True).stdout


def _directories() -> list[Path]:
    found = []
    for source in map(Path, _SOURCES):
        if source.is_dir():
            found += [entry for entry in sorted(source.iterdir()) if entry.is_dir() and not entry.is_symlink()] or [
                source
            ]
            if source.name in ("bin", "git-core"):
                found.append(source)
    return found
