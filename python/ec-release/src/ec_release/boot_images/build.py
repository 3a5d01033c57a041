"""Builds one target twice and packs it: the numbered steps of `ec-release build`.

1. Source: the commit, exported as nodes will have it.
2. Two fresh stores: the same derivation is built in each.
3. Compare: the published files byte by byte, and all else by its hash.
4. Pack: the file that is published, named after tag and commit.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec_release import progress
from ec_release.boot_images import compare, pack, store, targets
from ec_release.boot_images.errors import IrreproducibleError
from ec_release.boot_images.room import FIRST, SECOND
from ec_release.closure import source
from ec_release.closure.errors import EvaluationError

if TYPE_CHECKING:
    from ec_release.boot_images.compare import FileDifference, PathDifference
    from ec_release.boot_images.pack import Packed
    from ec_release.boot_images.release import ImageRelease
    from ec_release.boot_images.store import Builder, Built
    from ec_release.boot_images.targets import Target
    from ec_release.closure.source import Commit


@dataclass(frozen=True)
class Order:
    """What is to be built: a target by *name*, and derivations that are built anew, by patterns."""

    name: str
    target: Target
    rebuild: tuple[str, ...]
    release: ImageRelease


@dataclass(frozen=True)
class Outcome:
    """What came of two builds.

    *files* and *paths* are what differs; *in_system* are those of *paths* that a system without an image refers to (of
    an image, its files hold all that counts). *packed* is unset for such a system, and where files differ.
    """

    first: Built
    second: Built
    files: tuple[FileDifference, ...]
    paths: tuple[PathDifference, ...]
    in_system: tuple[str, ...]
    packed: Packed | None

    @property
    def identical(self) -> bool:
        """Whether what is published, and what nodes would run, is the same."""
        return not self.files and not self.in_system


def build(order: Order, flake: Path, commit: Commit, builder: Builder, *, stores: Path, output: Path) -> Outcome:
    """Build, compare and pack one target; *stores* is an empty directory, *output* one that is made.

    Raises what the steps raise: see the modules that carry them out. That two builds differ is no error here.
    """
    attribute = targets.attribute(order.name, order.target)
    with tempfile.TemporaryDirectory(prefix="ec-release-") as scratch:
        # 1
        tree = Path(scratch) / "source"
        source.export(flake, commit, tree)
        # 2
        made: list[Built] = []
        for name in (FIRST, SECOND):
            _say(f"{order.name}: building in the {name} store, {stores / name}")
            home = Path(scratch) / name
            home.mkdir()
            made.append(
                store.build(
                    tree,
                    attribute,
                    order.rebuild,
                    root=stores / name,
                    home=home,
                    builder=builder,
                    beside=made[0].location.root if made else None,
                )
            )
    first, second = made
    if first.evaluated != second.evaluated:
        raise EvaluationError(
            f"evaluates to {first.evaluated.drv_path} and to {second.evaluated.drv_path}",
            place=attribute,
            hint="evaluation depends on something outside the flake: an impure NIX ARGUMENT?",
        )
    # 3
    images = {
        name: tuple(compare.result_file(one.location, one.evaluated.out_path, name) for one in made)
        for name in order.target.files
    }
    size = sum(pair[0].stat().st_size for pair in images.values())
    with progress.of_bytes("comparing", size) as advance:
        differing = [compare.compare_file(name, pair[0], pair[1], advance) for name, pair in images.items()]
    files = tuple(one for one in differing if one is not None)
    paths = tuple(compare.compare_paths(first, second))
    in_system = () if images else tuple(compare.in_closure(first, [one.path for one in paths]))
    # 4
    packed = None
    if images and not files:
        target = output / order.release.asset(order.name, targets.extension(order.target))
        with progress.of_bytes("packing", size) as advance:
            if order.target.kind == "netboot":
                packed = pack.archive(target, {name: pair[0] for name, pair in images.items()}, advance)
            else:
                packed = pack.copy(target, images[order.target.files[0]][0], advance)
    output.mkdir(parents=True, exist_ok=True)
    return Outcome(first, second, files, paths, in_system, packed)


def complaint(order: Order, outcome: Outcome) -> IrreproducibleError:
    """Return what is to be said when two builds differ: the first file or path, where, and how to look further."""
    causes = [one.path for one in outcome.paths if one.cause]
    begins = f"; it begins in {', '.join(causes[:3])}" if causes else ""
    if outcome.files:
        one = outcome.files[0]
        return IrreproducibleError(
            f"{one.file} differs from byte {one.offset} on ({one.sizes[0]} and {one.sizes[1]} bytes){begins}",
            place=order.name,
            hint=f"diffoscope {one.places[0]} {one.places[1]}",
        )
    path = next((cause for cause in causes if cause in outcome.in_system), outcome.in_system[0])
    here, there = (one.location.physical(path) for one in (outcome.first, outcome.second))
    return IrreproducibleError(
        f"{len(outcome.in_system)} paths of the system differ, {path} first{begins}",
        place=order.name,
        hint=f"diffoscope {here} {there}",
    )


def keep_differences(outcome: Outcome, directory: Path) -> None:
    """Copy the files that differ to *directory*, one below ``first`` and one below ``second``: what `diffoscope` takes.

    Raises `LocalError`.
    """
    for one in outcome.files:
        with progress.of_bytes(f"keeping {one.file}", sum(one.sizes)) as advance:
            for name, place in zip((FIRST, SECOND), one.places, strict=True):
                pack.copy(directory / name / one.file, place, advance)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
