"""Evaluation on a node: what was altered is found before it is used, and Nix's memory is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import BY_NAME
from ec_verify.demo.attacks.source import evaluate
from ec_verify.demo.errors import DemoError

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]


def test_poisoned_cache_does_deceive_nix(lab: Lab, node: Node) -> None:
    """The attack is real: Nix, asked with its cache, names another derivation than the flake evaluates to."""
    BY_NAME["poisoned-evaluation"].apply(node)
    poisoned = evaluate(lab.clone_node(f"{node.name}-deceived"), node.environment)
    unaware = lab.clone_node(f"{node.name}-honest")
    honest = evaluate(unaware, unaware.home)

    assert node.release.manifest.system.drv_path == honest
    assert node.release.deriver(node.path("appliance-rescue")) == poisoned


def test_altered_input_deceives_old_nix_and_stops_newer(node: Node) -> None:
    """The attack is real: an evaluation uses the altered input at its valid path and says nothing, or does not end."""
    BY_NAME["altered-input"].apply(node)
    old = node.release.manifest.builder.nix.startswith("2.8.")
    used, refused = "", ""
    try:
        used = evaluate(node, node.home)
    except DemoError as error:
        refused = error.message

    assert used if old else used or re.search("narHash|NAR hash", refused)
    assert node.release.manifest.system.drv_path != used
    assert used or node.locked_input in refused


def test_evaluation_reaches_its_level_on_an_untouched_node(lab: Lab, node: Node) -> None:
    """Level `source` is reached offline, from what the node carries."""
    result = lab.verify(node, "--level", "source")

    assert ("passed", "source") == (result.verdict, result.report["levelReached"])


def test_altered_flake_is_not_evaluated_into_a_pass(lab: Lab, node: Node) -> None:
    """A comment in a Nix file changes no derivation, and is a failure all the same."""
    BY_NAME["altered-flake"].apply(node)
    result = lab.verify(node, "--level", "source")

    assert "corrupt" == result.paths[node.source]
    assert result.report["levelReached"] != "source"
