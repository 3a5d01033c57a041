"""Evaluating the embedded flake inside a ghost: no network, no caches, nothing of the node's configuration."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from ec_verify.ghost.limits import Limits
from ec_verify.ghost.scratch import available_memory
from ec_verify.model import Evaluation, Problem
from ec_verify.source import trees
from ec_verify.source.graph import Graph

if TYPE_CHECKING:
    from ec_closure.manifest import Manifest
    from ec_verify.ghost.nix import NixResult
    from ec_verify.ghost.session import Ghost

# What must not have a say (pitfalls P23, P30). Not --no-write-lock-file: on Nix 2.8 it lets an incomplete lock file be
# completed in memory, where --no-update-lock-file alone refuses it.
HERMETIC = (
    "--offline",
    "--no-eval-cache",
    "--no-update-lock-file",
    "--no-registries",
)
_MIB = 1 << 20
# What Nix says, from 2.8 to 2.34, and what that means. The first that fits counts.
_REASONS = (
    ("EV409", re.compile(r"ca-derivations")),
    ("EV406", re.compile(r"import.from.derivation|allow-import-from-derivation|is disallowed", re.IGNORECASE)),
    ("EV408", re.compile(r"out of memory|stack overflow|infinite recursion|max-call-depth", re.IGNORECASE)),
    (
        "EV407",
        re.compile(
            r"unable to download|resolve host|requires lock file changes|cannot (write|update) .*lock file"
            r"|requires a .?(sha256|narHash)|unlocked|not locked|in pure evaluation mode.*fetch",
            re.IGNORECASE,
        ),
    ),
)
_ATTR = re.compile(r"[A-Za-z0-9_.+@'\"-]+")


def evaluate(
    ghost: Ghost, link: str, attr: str, manifest: Manifest | None, limits: Limits | None = None
) -> tuple[Evaluation, Graph | None]:
    """Check the source trees, then evaluate *attr* of the flake behind *link*, within *limits*.

    Returns what happened and, when it worked, the graph of derivations. The derivations lie in the
    ghost's upper layer afterwards. Altered trees are reported and never evaluated.
    """
    flake, inputs, problems = trees.check(ghost.location, link, manifest)
    outcome = Evaluation(flake=flake, inputs=inputs, attr=attr, problems=problems)
    if flake is None or problems:
        return outcome, None
    if not _ATTR.fullmatch(attr):
        return replace(outcome, problems=(Problem("EV405", f"{attr!r} is no flake attribute"),)), None
    result = ghost.nix.nix(["eval", "--raw", *HERMETIC, f"path:{flake.path}#{attr}.drvPath"], limits)
    drv_path = result.stdout.strip()
    if result.exit != 0 or not ghost.location.is_store_path(drv_path):
        code, why = _reason(result, limits)
        return replace(outcome, problems=(Problem(code, f"{attr}: {why}", flake.path),)), None
    graph = Graph.load(ghost, drv_path)
    out = graph.derivations[drv_path].outputs.get("out")
    return replace(outcome, drv_path=drv_path, out_path=out.path if out else None), graph


def limits_of(seconds: int, memory: int) -> Limits:
    """Return the limits of an evaluation: *memory* in MiB, 0 for three quarters of what is available now."""
    return Limits(seconds, memory * _MIB or available_memory() * 3 // 4)


def _reason(result: NixResult, limits: Limits | None) -> tuple[str, str]:
    """Return the code and the one line that say why there is no derivation."""
    if result.stopped == "memory":
        return "EV408", "out of memory: budget.memory of verify.toml grants no more"
    if result.stopped and limits is not None:
        return "EV408", f"not finished within {limits.seconds} seconds"
    text = " ".join(result.activity.messages)
    code = next((code for code, words in _REASONS if words.search(text)), "EV405")
    # Older Nix says so and ends; 2.34 crashes, after its collector said so.
    if limits is not None and "out of memory" in text.lower():
        return code, f"out of memory; {limits.memory // _MIB} MiB are granted"
    return code, result.complaint()
