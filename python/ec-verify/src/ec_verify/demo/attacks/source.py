"""Attacks on what is evaluated: the embedded flake, its locked input, Nix's caches of earlier evaluations."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack
from ec_verify.demo.ci import ATTR
from ec_verify.demo.errors import DemoError
from ec_verify.demo.store import Store
from ec_verify.location import base_name

if TYPE_CHECKING:
    from ec_verify.demo.node import Node


def alter_source(node: Node) -> None:
    """Change the embedded flake, row included: its store path stays valid."""
    _append(node, node.source, "parts/publisher.nix", b"# nothing to see here\n")


def alter_input(node: Node) -> None:
    """Change the locked input at its valid store path: old Nix evaluates it without looking, newer refuses it."""
    store = Store(node.root)
    path = node.locked_input
    file = f"{path}/channels.nix"
    store.overwrite(file, store.physical(file).read_bytes().replace(b"7-1", b"6-6"))
    store.rewrite_row(path)
    node.attacked = [path]


def poison_evaluations(node: Node) -> None:
    """Let Nix's evaluation cache, in the home of whoever runs the verifier, name another derivation."""
    node.environment |= node.home
    # Evaluating writes derivations into the store, so a twin of the node does it.
    twin = node.lab.clone_node(f"{node.name}-twin")
    evaluate(twin, node.environment)
    other = node.release.deriver(node.path("appliance-rescue"))
    for file in Path(node.home["XDG_CACHE_HOME"]).rglob("eval-cache-*/*.sqlite"):
        poison(file, other)


def evaluate(node: Node, environment: dict[str, str]) -> str:
    """Evaluate the embedded flake with Nix's cache, as an operator might. Returns the derivation that Nix names."""
    ask = ["nix", "path-info", "--store", str(node.root), "--offline", "--derivation", f"path:{node.source}#{ATTR}"]
    return node.lab.programs.run(ask, extra=environment).stdout.strip()


def poison(file: Path, derivation: str) -> None:
    """Replace the derivation that the cache *file* remembers."""
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        remembered = connection.execute(
            "SELECT rowid, value, context FROM Attributes WHERE name = 'drvPath'"
        ).fetchall()
        for row, honest, context in remembered:
            # The context names the derivation too: by its path, or in newer Nix by its base name.
            forged = context.replace(base_name(honest), base_name(derivation))
            connection.execute(
                "UPDATE Attributes SET value = ?, context = ? WHERE rowid = ?", (derivation, forged, row)
            )
    if not remembered:
        raise DemoError("remembers no derivation", place=str(file))


def _append(node: Node, path: str, name: str, data: bytes) -> None:
    store = Store(node.root)
    file = f"{path}/{name}"
    store.overwrite(file, store.physical(file).read_bytes() + data)
    store.rewrite_row(path)
    node.attacked = [path]


ATTACKS = (
    Attack(
        "altered-flake",
        "Altered embedded flake",
        "changed the flake that the node carries, and its database row",
        alter_source,
        frozenset({"EV401"}),
        level="source",
    ),
    Attack(
        "altered-input",
        "Altered locked input",
        "changed a locked input at its valid store path, and its database row",
        alter_input,
        frozenset({"EV402"}),
        level="source",
    ),
    Attack(
        "poisoned-evaluation",
        "Poisoned evaluation cache",
        "made Nix remember another derivation for this flake",
        poison_evaluations,
        frozenset(),
        level="source",
        verdict="passed",
        on_store=False,
    ),
)
