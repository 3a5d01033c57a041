"""Two stores side by side: the published files byte by byte, and where a difference begins."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.store_db import StoreDatabase
from ec_release.boot_images.errors import ResultError
from ec_release.closure.links import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ec_closure.store_db import PathInfo
    from ec_release.boot_images.store import Built
    from ec_release.closure.graph import Graph
    from ec_release.closure.location import Location

_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileDifference:
    """A published file that came out differently: at which byte first, how long each is, and where both lie."""

    file: str
    offset: int
    sizes: tuple[int, int]
    places: tuple[Path, Path]


@dataclass(frozen=True)
class PathDifference:
    """A store path that came out differently. *cause*: nothing that it was made from differs."""

    path: str
    derivation: str
    cause: bool


def result_file(location: Location, out_path: str, name: str) -> Path:
    """Return where the bytes of the file *name* of a build's result are, links inside the store followed.

    Raises `ResultError` when it is not there, empty, no file, or outside the store.
    """
    logical = f"{out_path}/{name}"
    if not os.path.lexists(location.physical(logical)):
        raise ResultError(
            "is not in the result", place=logical, hint="the target promises this file: correct one of the two"
        )
    target = resolve(location, logical)
    if location.store_path_of(target) is None:
        raise ResultError(f"leads out of the store, to {target}", place=logical)
    place = location.physical(target)
    if not place.is_file():
        raise ResultError("is no file", place=logical)
    if not place.stat().st_size:
        raise ResultError("is empty", place=logical)
    return place


def compare_file(name: str, first: Path, second: Path, advance: Callable[[int], None]) -> FileDifference | None:
    """Return how two files differ, None where they are the same; *advance* is told each number of bytes compared."""
    at = 0
    with first.open("rb") as one, second.open("rb") as other:
        while True:
            here, there = one.read(_CHUNK), other.read(_CHUNK)
            if here != there:
                same = next(
                    (place for place, (a, b) in enumerate(zip(here, there, strict=False)) if a != b),
                    min(len(here), len(there)),
                )
                sizes = (first.stat().st_size, second.stat().st_size)
                return FileDifference(name, at + same, sizes, (first, second))
            if not here:
                return None
            at += len(here)
            advance(len(here))


def compare_paths(first: Built, second: Built) -> list[PathDifference]:
    """Return the store paths that both stores have and that differ, those first that nothing else explains."""
    with StoreDatabase.open(first.location.state_dir) as database:
        here = database.all_infos()
    with StoreDatabase.open(second.location.state_dir) as database:
        there = database.all_infos()
    different = {path for path, info in here.items() if path in there and there[path].nar_hash != info.nar_hash}
    found = [
        PathDifference(path, maker[0], not _inherited(path, maker[0], first.graph, here, different))
        for path in sorted(different)
        # Of what no derivation makes, bytes follow from the name; Nix would not have taken others.
        if (maker := first.graph.makers.get(path))
    ]
    return sorted(found, key=lambda one: (not one.cause, one.path))


def in_closure(built: Built, paths: Sequence[str]) -> list[str]:
    """Return those of *paths* that the built system refers to, directly or not."""
    with StoreDatabase.open(built.location.state_dir) as database:
        closure = {info.path for info in database.closure(built.evaluated.out_path)}
    return [path for path in paths if path in closure]


def _inherited(path: str, drv: str, graph: Graph, infos: dict[str, PathInfo], different: set[str]) -> bool:
    """Tell whether a builder of *path* saw something that differs: an input, or what inputs refer to."""
    derivation = graph.derivations[drv]
    own = {output.path for output in derivation.outputs.values()}
    pending = [
        graph.derivations[needed].outputs[name].path
        for needed, names in derivation.input_drvs.items()
        for name in names
    ]
    seen = {path, *own}
    while pending:
        one = pending.pop()
        if one in seen or one not in infos:
            continue
        if one in different:
            return True
        seen.add(one)
        pending += infos[one].references
    return False
