"""What surrounds an evaluation deceives Nix, and not the verifier; what never ends is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import BY_NAME
from ec_verify.demo.attacks.flake import carry, insert
from ec_verify.demo.attacks.surroundings import no_witness, witness

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]

_ANYTHING = (
    'derivation { name = "anything"; system = builtins.currentSystem; builder = "/bin/sh"; '
    'args = [ "-c" "echo > $out" ]; }'
)
# Where the attacker allows no local builds, or the machine has no users for them, newer Nix never comes to a hook.
_HERE = ("--option", "max-jobs", "1", "--option", "builders", "", "--option", "build-users-group", "")


@pytest.mark.parametrize("name", ["hostile-variables", "hostile-home", "hostile-node-configuration"])
def test_hooks_do_fire_for_nix(lab: Lab, node: Node, name: str) -> None:
    """The attack is real: Nix in the same surroundings runs the attacker's hook, and the witness is noticed."""
    before = no_witness(node, lab.verify(node))
    BY_NAME[name].apply(node)
    plain = {key: value for key, value in lab.programs.environment.items() if not key.startswith(("NIX_", "XDG_"))}
    surroundings = {"NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_REMOTE"}
    environment = plain | {key: value for key, value in node.environment.items() if key not in surroundings}
    ask = ["env", "-i", *(f"{key}={value}" for key, value in environment.items())]
    lab.programs.attempt([*ask, "nix-build", "--store", node.root, "--no-out-link", *_HERE, "--expr", _ANYTHING])

    assert before is None
    assert witness(node).exists()
    assert "a hook ran" in str(no_witness(node, lab.verify(node)))


def test_same_flake_within_its_limits_is_evaluated(lab: Lab, node: Node) -> None:
    """A loop that ends and values that fit are no attack: it evaluates, to another system."""
    count = "builtins.foldl' (a: b: a + b) 0 (builtins.genList (x: x) 100000)"
    carry(node, lambda tree: insert(tree, count), source={"timeout": 600, "memory": 512})
    result = lab.verify(node, "--level", "source")

    assert "EV408" not in result.codes
    assert "EV403" in result.codes
