"""Every attack of the registry: verdict, exit code, finding, and the path that the finding names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import ATTACKS, BY_NAME

if TYPE_CHECKING:
    from ec_verify.demo.attacks.attack import Attack
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node, Result

pytestmark = [pytest.mark.nix, pytest.mark.root]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_gets_the_answer_that_it_deserves(lab: Lab, node: Node, attack: Attack) -> None:
    """Verdict, exit code and findings are those that the registry promises, and every touched path is named."""
    attack.apply(node)

    result = lab.verify(node, "--level", attack.level)

    assert [] == attack.complaints(node, result)
    assert (attack.verdict, attack.exit) == (result.verdict, result.exit)
    if attack.verdict == "undecided":
        assert [] != reasons(attack, result)


def reasons(attack: Attack, result: Result) -> list[str]:
    """Return what is a reason in the coverage and is said by a finding that *attack* expects, be it about a path."""
    messages = {finding["message"] for finding in result.report["findings"] if finding["code"] in attack.expects}
    return [
        reason
        for entry in result.report["coverage"]
        for reason in entry["reasons"]
        if any(message.endswith(reason) for message in messages)
    ]


def test_names_of_attacks_are_unique() -> None:
    """An attack is found by its name."""
    assert len(ATTACKS) == len(BY_NAME)


def test_registry_has_attacks_and_harmless_things() -> None:
    """A verifier that always fails, or never does, cannot satisfy the registry."""
    assert {"passed", "failed", "undecided"} == {attack.verdict for attack in ATTACKS}


def test_complaints_are_not_empty_for_a_wrong_answer(lab: Lab, node: Node) -> None:
    """The untouched node's answer satisfies no attack that has an effect: the registry can fail."""
    result = lab.verify(node)
    satisfied = [attack.name for attack in ATTACKS if attack.expects and not attack.complaints(node, result)]

    assert [] == satisfied
