"""Runs that are struck at random moments; `./dev chaos` strikes more often."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.chaos.kill import KINDS, Victim

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab

pytestmark = [pytest.mark.nix, pytest.mark.root]


def test_whatever_strikes_a_run_its_state_stays_whole_and_nothing_of_it_stays(lab: Lab) -> None:
    """Killed alone, with its group, or a child of it; on a disk that becomes full, or read-only: one run each."""
    random = Random(3)  # noqa: S311 - the same each time
    victim = Victim(lab, lab.clone_node("struck"))
    with victim.prepared():
        victim.whole_run()
        for kind in KINDS:
            victim.strike(kind, random.uniform(0, victim.tally.duration), random)
        victim.whole_run()
    assert victim.tally.kinds.keys() == set(KINDS)
