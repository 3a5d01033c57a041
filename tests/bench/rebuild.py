"""Rebuilding 50 derivations in a ghost, beside a loop of `nix build --rebuild` and beside plain building."""

from __future__ import annotations

import itertools
import shutil
from typing import TYPE_CHECKING

from tests.bench.harness import Way, compare, program
from tests.bench.store import Store

from ec_closure.nar.hash import hash_path
from ec_closure.store_db import StoreDatabase
from ec_verify.ghost.nix import NixPrograms, NixSettings
from ec_verify.ghost.scratch import ScratchPlan
from ec_verify.ghost.session import Ghost
from ec_verify.rebuild.plan import Plan
from ec_verify.rebuild.run import rebuild
from ec_verify.source.graph import Graph

if TYPE_CHECKING:
    from pathlib import Path

_GRAPH = """
let
  node = number: derivation {
    name = "n${toString number}"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "echo $below ${toString number} > $out" ]; below = if number > 0 then node (number / 2) else "";
  };
in derivation {
  name = "top"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $all > $out" ];
  all = builtins.genList (number: node (number + 1)) 48;
}
"""
_OUTPUTS = (2, 15)
"""From this version on, a derivation's path alone means its file, and not what it makes."""


def case(directory: Path, rounds: int) -> str:
    """Return the figures."""
    shell = shutil.which("bash-static") or "/bin/sh"
    config = f"sandbox = true\nsandbox-fallback = false\nsandbox-paths = /bin/sh={shell}\n"
    store = Store(directory / "nix", config=config)
    drv = store.run("nix-instantiate", "-E", _GRAPH).strip()
    store.run("nix-store", "--realise", drv)
    location = store.location
    programs = NixPrograms.find("nix")
    settings = NixSettings(sandbox_paths=(f"/bin/sh={shell}",))
    scratch = ScratchPlan(directory / "scratch")
    with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
        rows = list(database.all_infos().values())
    with Ghost(location, programs, settings, scratch, rows=rows) as ghost:
        graph = Graph.load(ghost, drv)
    signed = {path: hash_path(location.physical(path)).hash.sri for path in graph.owners}
    suffix = "^*" if tuple(map(int, programs.version.split(".")[:2])) >= _OUTPUTS else ""

    def seed() -> Ghost:
        return Ghost(location, programs, settings, scratch, rows=rows)

    def in_ghost(first: Ghost) -> None:
        found = rebuild(
            first, graph, Plan(frozenset(graph.derivations)), signed=signed, observed=signed,
            programs=programs, settings=settings, scratch=scratch,
        )  # fmt: skip
        if signed != {path: seen.rebuilt for path, seen in found.outputs.items()}:
            raise RuntimeError("something was not rebuilt")

    def in_two() -> None:
        with seed() as first:
            in_ghost(first)

    fresh = _Fresh(directory, config)
    loop = [
        program("nix", "build", "--rebuild", "--no-link", f"{path}{suffix}", env=store.env)
        for path in graph.derivations
    ]
    # The evaluation made the first ghost, as `prepare` instantiates for plain building: that takes no time here.
    with seed() as first:
        return compare(
            f"Rebuilding {len(graph.derivations)} derivations",
            [
                Way("in a ghost, every output hashed and compared", lambda: in_ghost(first)),
                Way("the same, and the evaluation's ghost", in_two),
                Way("nix-store --realise in an empty store", fresh.build, fresh.prepare),
                Way("a loop of nix build --rebuild", lambda: [build() for build in loop]),
            ],
            rounds=rounds,
            targets={"a loop of nix build --rebuild": 0.5, "nix-store --realise in an empty store": 1.1},
        )


class _Fresh:
    """A new store for each round, that holds the derivations alone."""

    def __init__(self, directory: Path, config: str) -> None:
        self._places = (directory / f"fresh-{number}" for number in itertools.count())
        self._config = config

    def prepare(self) -> None:
        self._store = Store(next(self._places), config=self._config)
        self._drv = self._store.run("nix-instantiate", "-E", _GRAPH).strip()

    def build(self) -> None:
        self._store.run("nix-store", "--realise", self._drv)
