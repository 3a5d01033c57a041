"""Sharing a rebuild among the nodes of a fleet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ec_verify.rebuild.fleet import Share, assigned

MEMBERS = st.sets(st.text("abcdefgh-", min_size=1, max_size=6), min_size=1, max_size=12)
DERIVATIONS = [f"/nix/store/{number:032}-thing.drv" for number in range(300)]


@given(MEMBERS, st.integers(1, 5), st.sampled_from(DERIVATIONS))
def test_each_derivation_goes_to_so_many_nodes(members: set[str], copies: int, derivation: str) -> None:
    """To exactly k different ones, or to all where there are fewer; and they agree without talking."""
    chosen = assigned(derivation, members, copies)

    assert min(copies, len(members)) == len(set(chosen)) == len(chosen)
    assert set(chosen) == {
        member for member in members if Share(member, tuple(sorted(members)), copies).covers(derivation)
    }


@given(MEMBERS, st.integers(1, 5), st.sampled_from(DERIVATIONS))
def test_a_new_node_moves_only_what_it_takes(members: set[str], copies: int, derivation: str) -> None:
    """Nothing is handed from one old node to another."""
    before = assigned(derivation, members, copies)
    after = assigned(derivation, members | {"new-node"}, copies)

    assert set(after) - {"new-node"} <= set(before)
    assert ("new-node" in after) or after == before


def test_shares_are_even_and_little_moves() -> None:
    """Of 300 derivations on ten nodes, two copies each, an eleventh takes about two elevenths."""
    members = tuple(f"node-{number}" for number in range(10))
    before = {derivation: assigned(derivation, members, 2) for derivation in DERIVATIONS}
    after = {derivation: assigned(derivation, (*members, "node-10"), 2) for derivation in DERIVATIONS}
    loads = [sum(member in chosen for chosen in before.values()) for member in members]

    assert 30 <= min(loads) <= max(loads) <= 90
    assert 30 <= sum(before[derivation] != after[derivation] for derivation in DERIVATIONS) <= 80
