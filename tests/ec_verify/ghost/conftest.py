"""A store with a graph of derivations, and everything that a ghost of it needs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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
    from collections.abc import Callable, Iterable

    from tests.conftest import NixStore

    from ec_verify.model import Rebuild

# One builder for all: /bin/sh of the sandbox, bash-static outside. Nodes that draw numbers differ each time.
PRELUDE = """
let
  make = name: args: script: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  } // args);
in
"""


@dataclass
class Yard:
    """A throw-away store and what works on it. *signed* holds the hashes of its outputs, as CI would sign them."""

    store: NixStore
    location: StoreLocation
    programs: NixPrograms
    settings: NixSettings
    scratch: ScratchPlan
    build: Callable[[str], list[str]]

    def ghost(self, **options: Any) -> Ghost:
        """Return a ghost of the store that believes every row of it, derivations included."""
        with StoreDatabase.open(self.location.state, store_dir=self.location.store_dir) as database:
            rows = list(database.all_infos().values())
        return Ghost(self.location, self.programs, self.settings, self.scratch, rows=rows, **options)

    def graph(self, ghost: Ghost, output: str) -> Graph:
        """Return the build graph of *output*, whose derivations lie in the store."""
        with StoreDatabase.open(self.location.state, store_dir=self.location.store_dir) as database:
            info = database.path_info(output)
        if info is None or info.deriver is None:
            pytest.fail(f"{output} has no deriver")
        return Graph.load(ghost, info.deriver)

    def signed(self, graph: Graph) -> dict[str, str]:
        """Return the hash of every output that is on the disk."""
        return {
            path: hash_path(Path(path)).hash.sri
            for path in graph.owners
            if Path(path).exists() and not graph.derivations[graph.owners[path][0]].is_fixed_output
        }

    def rebuild(
        self, ghost: Ghost, graph: Graph, tests: Iterable[str], signed: dict[str, str] | None = None
    ) -> Rebuild:
        """Rebuild *tests* (derivations)."""
        expected = signed if signed is not None else self.signed(graph)
        return rebuild(
            ghost,
            graph,
            Plan(frozenset(tests)),
            signed=expected,
            observed=expected,
            programs=self.programs,
            settings=self.settings,
            scratch=self.scratch,
        )


@pytest.fixture
def yard(new_nix_store: Callable[[], NixStore], tmp_path: Path) -> Yard:
    """Give an empty store with its ghost maker."""
    shell = shutil.which("bash-static")
    if shell is None:
        pytest.skip("there is no bash-static on the PATH")
    if os.geteuid() != 0:
        pytest.skip("not running as root")
    store = new_nix_store()
    store.run("nix-store", "--init")
    return Yard(
        store=store,
        location=StoreLocation(store_dir=store.store_dir, state_dir=str(store.state_dir)),
        programs=NixPrograms.find("nix"),
        settings=NixSettings(sandbox_paths=(f"/bin/sh={shell}",)),
        scratch=ScratchPlan(tmp_path / "scratch"),
        build=lambda expression: store.build(PRELUDE + expression),
    )
