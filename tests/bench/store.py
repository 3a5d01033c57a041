"""Stores for figures: an empty one, and a large one of this machine's own files, for figures about real trees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from ec_verify.location import StoreLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Real files of any Linux machine: many small ones, some large ones.
_SOURCES = (
    "/usr/lib", "/usr/libexec", "/usr/share", "/usr/include", "/usr/src", "/usr/share/doc", "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu", "/usr/lib/python3/dist-packages", "/opt", sysconfig.get_path("purelib"),
)  # fmt: skip


class Store:
    """A Nix store in *root* without daemon, build users or substituters; *env* is all that a program needs."""

    def __init__(self, root: Path, *, config: str = "sandbox = false\n") -> None:
        self.root = root
        self.store_dir = str(root / "store")
        self.state_dir = str(root / "var")
        self.location = StoreLocation(store_dir=self.store_dir, state_dir=self.state_dir)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(root / "home"),
            "NIX_STORE_DIR": self.store_dir,
            "NIX_STATE_DIR": self.state_dir,
            "NIX_LOG_DIR": str(root / "log"),
            "NIX_CONF_DIR": str(root / "etc"),
            "NIX_CONFIG": f"experimental-features = nix-command flakes\nsubstituters =\nbuild-users-group =\n{config}",
        }
        (root / "home").mkdir(parents=True)

    def run(self, *argv: str) -> str:
        """Run a program on this store and return its standard output."""
        return subprocess.run(argv, env=self.env, capture_output=True, text=True, check=True).stdout


@dataclass(frozen=True)
class Tree:
    """A directory of this machine: how many bytes and files it has."""

    path: Path
    size: int
    files: int


@cache
def large(directory: Path, paths: int = 250, files: int = 60_000, size: int = 2500 << 20) -> Store:
    """Return a store of about that many *paths*, *files* and bytes (*size*) below *directory*, made once.

    Where the machine has too little, trees come again, each with a file that makes it another path.
    """
    store = Store(directory / "large")
    room = directory / "stage"
    chosen = choose(candidates(files // 8, size // 4), paths, files, size)
    for number, tree in enumerate(_repeated(chosen, paths, files, size)):
        stage = room / f"tree-{number}"
        shutil.copytree(tree.path, stage, symlinks=True, ignore_dangling_symlinks=True, ignore=_irregular)
        if number >= len(chosen):
            (stage / f"copy-{number}").write_text(f"{number}\n")
        store.run("nix-store", "--add", str(stage))
        shutil.rmtree(stage)
    return store


def choose(found: list[Tree], paths: int, files: int, size: int) -> list[Tree]:
    """Choose trees as a system's closure has them: some large, some of many files, and many small ones."""
    chosen: dict[Path, Tree] = {}
    orders: tuple[tuple[Callable[[Tree], int], float, float, float], ...] = (
        (lambda tree: -tree.size, 0.2, 0.6, 0.85),
        (lambda tree: -tree.files, 0.6, 0.98, 0.98),
        (lambda tree: tree.size, 1.0, 1.0, 1.0),
    )
    held = amount = 0
    for key, of_paths, of_files, of_size in orders:
        for tree in sorted(found, key=key):
            fits = held + tree.files <= of_files * files and amount + tree.size <= of_size * size
            if fits and tree.path not in chosen and len(chosen) < of_paths * paths:
                chosen[tree.path] = tree
                held, amount = held + tree.files, amount + tree.size
    return list(chosen.values())


def _repeated(chosen: list[Tree], paths: int, files: int, size: int) -> Iterator[Tree]:
    count = held = amount = 0
    for tree in cycle(chosen):
        if count >= len(chosen) and (count >= paths or held >= 0.95 * files or amount >= 0.95 * size):
            return
        count, held, amount = count + 1, held + tree.files, amount + tree.size
        yield tree


def candidates(files: int, size: int) -> list[Tree]:
    """Return the directories of this machine; those of more than *files* or *size* are divided into those they hold."""
    found: dict[Path, Tree] = {}
    todo = [path for source in map(Path, _SOURCES) if source.is_dir() for path in _below(source)]
    while todo:
        path = todo.pop()
        tree = _measure(path)
        if tree.files > files or tree.size > size:
            todo += _below(path)
        elif tree.files > 1:
            found[path] = tree
    # A tree inside another one would be there twice.
    return [tree for path, tree in sorted(found.items()) if not any(parent in found for parent in path.parents)]


def _below(path: Path) -> list[Path]:
    return [entry for entry in path.iterdir() if entry.is_dir() and not entry.is_symlink()]


def _measure(path: Path) -> Tree:
    size = count = 0
    for directory, _, files in os.walk(path):
        count += len(files)
        size += sum(os.lstat(os.path.join(directory, file)).st_size for file in files)  # noqa: PTH118 - 100,000 of them
    return Tree(path, size, count)


def _irregular(directory: str, names: list[str]) -> list[str]:
    """Say what no NAR can hold."""
    return [name for name in names if not _regular(Path(directory, name))]


def _regular(path: Path) -> bool:
    return path.is_symlink() or path.is_dir() or path.is_file()
