"""Rebuilding 50 derivations in a ghost, beside a loop of `nix build --rebuild`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.bench.harness import Way, compare, program
from tests.bench.store import Store

from ec_closure.nar.hash import hash_path
from ec_closure.store_db import StoreDatabase
from ec_verify.ghost.nix import NixPrograms, NixSettings
from ec_verify.ghost.scratch import ScratchPlan
from ec_verify.ghost.session import Ghost
from ec_verify.location import StoreLocation
from ec_verify.rebuild.plan import Plan
from ec_verify.rebuild.run import rebuild
from ec_verify.source.graph import Graph

if TYPE_CHECKING:
    from pathlib import Path

_COUNT = 50
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


def case(directory: Path, rounds: int) -> str:
    """Return the figures."""
    store = Store(directory / "nix", limit=0)
    shell = shutil.which("bash-static") or "/bin/sh"
    store.env["NIX_CONFIG"] = (
        "experimental-features = nix-command flakes\nsubstituters =\nsandbox = true\nsandbox-fallback = false\n"
        f"sandbox-paths = /bin/sh={shell}\nbuild-users-group =\n"
    )
    drv = store.run("nix-instantiate", "-E", _GRAPH).strip()
    store.run("nix-store", "--realise", drv)
    location = StoreLocation(store_dir=store.store_dir, state_dir=store.state_dir)
    programs = NixPrograms.find("nix")
    settings = NixSettings(sandbox_paths=(f"/bin/sh={shell}",))
    scratch = ScratchPlan(directory / "scratch")
    with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
        rows = list(database.all_infos().values())
    with Ghost(location, programs, settings, scratch, rows=rows) as ghost:
        graph = Graph.load(ghost, drv)
    signed = {path: hash_path(location.physical(path)).hash.sri for path in graph.owners}

    def in_ghost() -> None:
        with Ghost(location, programs, settings, scratch, rows=rows) as seed:
            found = rebuild(
                seed, graph, Plan(frozenset(graph.derivations)), signed=signed, observed=signed,
                programs=programs, settings=settings, scratch=scratch,
            )  # fmt: skip
        if signed != {path: seen.rebuilt for path, seen in found.outputs.items()}:
            raise RuntimeError("something was not rebuilt")

    def loop() -> None:
        for path in graph.derivations:
            program("nix-store", "--realise", "--check", path, env=store.env)()

    return compare(
        f"Rebuilding {len(graph.derivations)} derivations",
        [Way("ghost store, every output hashed", in_ghost), Way("a loop of nix-store --realise --check", loop)],
        rounds=rounds,
    )
