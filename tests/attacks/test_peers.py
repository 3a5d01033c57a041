"""What the demonstration claims about Nix's own tools holds, for the Nix that is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.attacks import BY_NAME
from ec_verify.demo.peers import CHECK, CHECK_CONTENTS, PEERS, REBUILD, STORE_VERIFY, Outcome

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab

pytestmark = [pytest.mark.nix, pytest.mark.root]

_CAUGHT_BY = {
    "flipped-byte": (True, True),
    "edited-row": (True, False),
    "content-addressed": (False, False),
    "fixed-output": (False, False),
    "second-output": (True, False),
    "added-file": (True, True),
    "retargeted-link": (True, True),
    "set-user-id": (False, False),
    "mode": (False, False),
    "owner": (False, False),
    "capability": (False, False),
    "unknown-entry": (False, False),
    "forged-row": (True, False),
    "missing-path": (True, True),
    "dropped-reference": (True, False),
    "bind-mount": (True, True),
    "profile": (False, False),
    "unpublished-system": (True, False),
    "altered-flake": (False, False),
    "altered-input": (False, False),
    "lying-build-machine": (False, False),
    "two-outputs-differ": (False, False),
}


@pytest.mark.parametrize("name", _CAUGHT_BY)
def test_comparing_with_the_database_catches_what_is_claimed(lab: Lab, name: str) -> None:
    """`nix store verify` and `nix-store --verify` see changed bytes and lost signatures, and nothing else."""
    outcomes = (STORE_VERIFY.ask(lab, BY_NAME[name]), CHECK_CONTENTS.ask(lab, BY_NAME[name]))

    assert _CAUGHT_BY[name] == tuple(outcome.verdict == "caught" for outcome in outcomes)


@pytest.mark.parametrize(
    ("name", "caught"),
    [("flipped-byte", False), ("edited-row", True), ("altered-flake", False), ("lying-build-machine", True)],
)
def test_rebuilding_compares_with_the_database_not_with_the_disk(lab: Lab, name: str, *, caught: bool) -> None:
    """Both commands see an edited row, and not the bytes that changed under an honest one."""
    outcomes = (REBUILD.ask(lab, BY_NAME[name]), CHECK.ask(lab, BY_NAME[name]))

    assert (caught, caught) == tuple(outcome.verdict == "caught" for outcome in outcomes)


def test_rebuilding_names_one_of_two_outputs_that_differ(lab: Lab) -> None:
    """The first that differs ends the comparison."""
    outcome = REBUILD.ask(lab, BY_NAME["two-outputs-differ"])

    assert "caught" == outcome.verdict
    assert outcome.line.endswith("(names 1 of 2 paths)")


def test_rebuilding_cries_wolf_on_an_untouched_node(lab: Lab) -> None:
    """An honestly unreproducible path is all it speaks of, and it fails."""
    outcome = REBUILD.ask(lab, BY_NAME["untouched"])

    assert 1 == outcome.exit
    assert "dhparams" in outcome.line


def test_nothing_is_claimed_about_attacks_outside_the_store(lab: Lab) -> None:
    """Tools that look at a store cannot see a release server."""
    expected = [Outcome(peer.name, "n/a", None, "nothing happens in the store") for peer in PEERS]

    assert expected == [peer.ask(lab, BY_NAME["rolled-back"]) for peer in PEERS]
