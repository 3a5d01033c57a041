"""One fresh store: what may come from elsewhere is fetched, the rest is built there and nowhere else.

The store is a directory of its own (a chroot store): paths are `/nix/store/…` inside, so that a build cannot tell. It
needs what a sandbox needs; Nix builds in such a store in no other way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_closure.content_address import source_store_path
from ec_closure.nar.hash import hash_path
from ec_closure.store_db import StoreDatabase
from ec_release.boot_images import fresh
from ec_release.boot_images.errors import NotFreshError
from ec_release.closure import graph as graphs
from ec_release.closure.errors import DamagedStoreError
from ec_release.closure.location import Location
from ec_release.closure.nix import Nix

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ec_release.boot_images.fresh import Division
    from ec_release.closure.graph import Graph
    from ec_release.closure.nix import Evaluated

# No cache, no other machine that may have built it before, and nobody told of what comes out.
_ALONE = (("substitute", "false"), ("builders", ""), ("post-build-hook", ""))


@dataclass(frozen=True)
class Builder:
    """How Nix is run: *options* and *arguments* as people gave them. *with_builders*: what builders say is shown."""

    program: str = "nix"
    options: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    with_builders: bool = False


@dataclass(frozen=True)
class Built:
    """What one store holds after the build."""

    location: Location
    evaluated: Evaluated
    graph: Graph
    division: Division


def build(
    tree: Path,
    attribute: str,
    patterns: Sequence[str],
    *,
    root: Path,
    home: Path,
    builder: Builder,
    beside: Path | None = None,
) -> Built:
    """Build *attribute* of the flake whose source is *tree* in the empty store at *root*.

    What a trusted cache signed may be taken from the store *beside* instead of the network. Raises `EvaluationError`,
    `ProgramError` (a build failed), `NotFreshError` when something that must be built here came from elsewhere.
    """
    location = Location(root)
    shared = () if beside is None else (("extra-substituters", f"local?root={beside}"),)
    nix = Nix(builder.program, location, (*builder.options, *shared), home, builder.arguments)
    source = nix.add_source(tree)
    if source != source_store_path(hash_path(tree).hash):
        raise DamagedStoreError("Nix and we disagree about the source's hash", place=source)
    evaluated = nix.evaluate(source, attribute, offline=False)
    graph = graphs.read(location, evaluated.drv_path)
    division = fresh.divide(graph, evaluated.drv_path, patterns)
    # Of a derivation with many outputs those alone that are needed: others may be large, and in no cache.
    inputs = [f"{drv}!{','.join(outputs)}" for drv, outputs in division.inputs.items()]
    if inputs:
        nix.realise(inputs, (), with_builders=builder.with_builders)
    _check_nothing_is_there(location, division.outputs(graph))
    nix.realise([evaluated.drv_path], _ALONE, with_builders=builder.with_builders)
    return Built(location, evaluated, graph, division)


def _check_nothing_is_there(location: Location, outputs: dict[str, str]) -> None:
    with StoreDatabase.open(location.state_dir) as database:
        there = sorted(outputs.keys() & set(database.valid_paths()))
    if there:
        raise NotFreshError(
            "must be built, and is there before",
            place=there[0],
            hint="a cache brought it with what depends on it; or the store is not empty",
        )
