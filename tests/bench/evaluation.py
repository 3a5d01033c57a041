"""Evaluating a flake with a large input in a ghost, its trees hashed before, beside bare `nix eval`."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from tests.bench.harness import Way, compare, program
from tests.bench.store import Store

from ec_closure.nar.hash import hash_path
from ec_closure.store_db import StoreDatabase
from ec_verify.ghost.limits import Limits
from ec_verify.ghost.nix import NixPrograms, NixSettings
from ec_verify.ghost.scratch import ScratchPlan
from ec_verify.ghost.session import Ghost
from ec_verify.source import trees
from ec_verify.source.evaluate import HERMETIC, evaluate

if TYPE_CHECKING:
    from pathlib import Path

_FILES = 10_000
_SIZE = 4000
_FLAKE = """
{
  inputs.dependency.url = "path:/nowhere";
  outputs = { self, dependency }: {
    system = derivation {
      name = "system"; system = "x86_64-linux"; builder = "/bin/sh";
      work = builtins.foldl' (sum: number: sum + builtins.stringLength (builtins.hashString "sha256" (toString number)))
        0 (builtins.genList (number: number) 7000000);
      parts = builtins.genList (number: derivation {
        name = "part-${toString number}"; system = "x86_64-linux"; builder = "/bin/sh"; text = dependency.text;
      }) 300;
    };
  };
}
"""
_DEPENDENCY = '{ outputs = { self }: { text = builtins.readFile "${self}/part-0/file-0"; }; }'


def case(directory: Path, rounds: int) -> str:
    """Return the figures. The input is a quarter of nixpkgs by its files; the evaluation takes some seconds."""
    store = Store(directory / "nix")
    link, flake = install(store, directory)
    location = store.location
    programs = NixPrograms.find("nix")
    settings = NixSettings()
    scratch = ScratchPlan(directory / "scratch")
    limits = Limits(600)
    with StoreDatabase.open(location.state, store_dir=location.store_dir) as database:
        rows = list(database.all_infos().values())

    def hermetic() -> None:
        with Ghost(location, programs, settings, scratch, rows=rows) as ghost:
            outcome, graph = evaluate(ghost, link, "system", None, limits)
        if graph is None or outcome.problems:
            raise RuntimeError(f"not evaluated: {outcome.problems}")

    def hashed() -> None:
        if trees.check(location, link, None)[2]:
            raise RuntimeError("the trees are not as they were made")

    argv = ["nix", "eval", "--raw", *HERMETIC, f"path:{flake}#system.drvPath"]
    return compare(
        f"Evaluating a flake with an input of {_FILES} files",
        [
            Way("trees hashed, a ghost, evaluation, the graph of derivations", hermetic),
            Way("of that: trees hashed", hashed),
            Way("nix eval, where its derivations are already", program(*argv, env=store.env)),
            Way("nix eval", program(*argv, env=store.env), lambda: _forget(store)),
        ],
        rounds=rounds,
        targets={"nix eval": 1.1},
    )


def _forget(store: Store) -> None:
    """Let the peer write its derivations, as the evaluation in a new ghost has to."""
    made = [str(path) for path in store.location.store.glob("*.drv")]
    if made:
        store.run("nix-store", "--delete", *made)


def install(store: Store, directory: Path) -> tuple[str, str]:
    """Put the flake and its input into *store*; return a link to the flake, and its store path."""
    dependency = directory / "dependency" / "source"
    for number in range(_FILES):
        part = dependency / f"part-{number // 100}"
        part.mkdir(parents=True, exist_ok=True)
        (part / f"file-{number}").write_text(f"{number}\n" * (_SIZE // len(f"{number}\n")))
    (dependency / "flake.nix").write_text(_DEPENDENCY)
    pinned = {"type": "path", "path": "/nowhere", "narHash": hash_path(dependency).hash.sri, "lastModified": 1}
    lock = {
        "version": 7,
        "root": "root",
        "nodes": {
            "root": {"inputs": {"dependency": "dependency"}},
            "dependency": {"locked": pinned, "original": {"type": "path", "path": "/nowhere"}},
        },
    }
    flake = directory / "flake" / "source"
    flake.mkdir(parents=True)
    (flake / "flake.nix").write_text(_FLAKE)
    (flake / "flake.lock").write_text(json.dumps(lock))
    paths = [_add(store, tree) for tree in (dependency, flake)]
    link = directory / "embedded"
    os.symlink(paths[1], link)  # noqa: PTH211 - reads as what it is
    return str(link), paths[1]


def _add(store: Store, tree: Path) -> str:
    argv = ["nix-store", "--add-fixed", "--recursive", "sha256", str(tree)]
    return subprocess.run(argv, env=store.env, capture_output=True, text=True, check=True).stdout.strip()
