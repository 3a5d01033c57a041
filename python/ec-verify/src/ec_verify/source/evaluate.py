"""Evaluating the embedded flake inside a ghost: no network, no caches, nothing of the node's configuration."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ec_verify.model import Evaluation, Problem
from ec_verify.source import trees
from ec_verify.source.graph import Graph

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest
    from ec_verify.ghost.session import Ghost

# What must not have a say (pitfalls P23, P30). Not --no-write-lock-file: on Nix 2.8 it lets an incomplete lock file be
# completed in memory, where --no-update-lock-file alone refuses it.
HERMETIC = (
    "--offline",
    "--no-eval-cache",
    "--no-update-lock-file",
    "--no-registries",
)
_NEEDS_BUILD = re.compile(r"import.from.derivation|allow-import-from-derivation|is disallowed", re.IGNORECASE)
_ATTR = re.compile(r"[A-Za-z0-9_.+@'\"-]+")


def evaluate(ghost: Ghost, link: str, attr: str, manifest: Manifest | None) -> tuple[Evaluation, Graph | None]:
    """Check the source trees, then evaluate *attr* of the flake behind *link*.

    Returns what happened and, when it worked, the graph of derivations. The derivations lie in the
    ghost's upper layer afterwards. Altered trees are reported and never evaluated.
    """
    flake, inputs, problems = trees.check(ghost.location, link, manifest)
    outcome = Evaluation(flake=flake, inputs=inputs, attr=attr, problems=problems)
    if flake is None or problems:
        return outcome, None
    if not _ATTR.fullmatch(attr):
        return replace(outcome, problems=(Problem("EV405", f"{attr!r} is no flake attribute"),)), None
    result = ghost.nix.nix(["eval", "--raw", *HERMETIC, f"path:{flake.path}#{attr}.drvPath"])
    drv_path = result.stdout.strip()
    if result.exit != 0 or not ghost.location.is_store_path(drv_path):
        text = " ".join(result.activity.messages)
        code = "EV406" if _NEEDS_BUILD.search(text) else "EV405"
        return replace(outcome, problems=(Problem(code, f"{attr}: {result.complaint()}", flake.path),)), None
    graph = Graph.load(ghost, drv_path)
    out = graph.derivations[drv_path].outputs.get("out")
    return replace(outcome, drv_path=drv_path, out_path=out.path if out else None), graph
