"""What is no attack: a verifier that cries wolf is switched off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_verify.demo.attacks.attack import Attack

if TYPE_CHECKING:
    from ec_verify.demo.node import Node


def nothing(_node: Node) -> None:
    """Leave the node alone."""


def optimise(node: Node) -> None:
    """Let Nix replace equal files by hard links."""
    node.lab.programs.run(["nix-store", "--store", node.root, "--optimise"])


ATTACKS = (
    Attack("untouched", "Nothing", "did nothing at all", nothing, frozenset(), verdict="passed"),
    Attack("optimised", "Optimised store", "let Nix share equal files", optimise, frozenset(), verdict="passed"),
)
