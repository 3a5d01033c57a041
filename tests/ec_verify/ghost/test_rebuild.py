"""Rebuilding: every output is hashed, roots are told from heirs, and what proves nothing says so."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_closure.store_db import StoreDatabase
from ec_verify.rebuild.run import attribute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.ec_verify.ghost.conftest import Yard

    from ec_verify.model import OutputEvidence

pytestmark = [pytest.mark.nix, pytest.mark.root]

# Not $RANDOM: builders run whatever /bin/sh is, and dash has none.
_NOISE = "read noise < /proc/sys/kernel/random/uuid; echo $noise"

_CHAIN = f"""
let
  quiet = make "quiet" {{}} "echo quiet > $out";
  loud = make "loud" {{}} "{_NOISE} > $out";
  heir = make "heir" {{ inherit loud; }} "read line < $loud; echo $line $loud > $out";
  pair = make "pair" {{ outputs = [ "out" "doc" ]; }} "echo out > $out; {_NOISE} > $doc";
  reader = make "reader" {{ inherit pair; }} "read line < $pair; echo $line > $out";
in make "top" {{ inherit quiet heir reader; doc = pair.doc; }} "echo $quiet $heir $reader $doc > $out"
"""


def _name(path: str) -> str:
    return path.rpartition("/")[2][33:]


def _words(evidence: Mapping[str, OutputEvidence], signed: Mapping[str, str]) -> dict[str, str]:
    """Return the judge's word for each output, from the evidence alone."""
    return {
        _name(path): "failed"
        if seen.rebuilt is None
        else "unreproducible"
        if seen.rebuilt != signed[path]
        else "inherited"
        if seen.tainted_by
        else "rebuilt"
        for path, seen in evidence.items()
        if path in signed
    }


def test_roots_are_told_from_those_who_inherit(yard: Yard) -> None:
    """Only what differs by itself is unreproducible; every output counts, also the second one."""
    top = yard.build(_CHAIN)[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        found = yard.rebuild(ghost, graph, graph.derivations)
    expected = {
        "quiet": "rebuilt",
        "loud": "unreproducible",
        "heir": "inherited",
        "pair": "rebuilt",
        "pair-doc": "unreproducible",
        "reader": "rebuilt",
        "top": "inherited",
    }
    assert expected == _words(found.outputs, yard.signed(graph))
    assert found.rounds == 2
    assert all(seen.unsound is None for seen in found.outputs.values())


def test_a_builder_was_seen_for_every_rebuilt_output(yard: Yard) -> None:
    """Nothing counts as rebuilt that no builder of ours made."""
    top = yard.build(_CHAIN)[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        quiet = next(path for path in graph.derivations if path.endswith("-quiet.drv"))
        found = yard.rebuild(ghost, graph, [quiet])
    assert found.builders == 1
    assert [quiet] == [seen.derivation for seen in found.outputs.values()]


def test_a_builder_that_fails_is_named_and_its_heirs_use_the_signed_bytes(yard: Yard) -> None:
    """A failure does not hide what can still be said of those above it."""
    marker = yard.store.root / "marker"
    marker.write_text("")
    top = yard.build(
        f'let once = make "once" {{}} "if [ ! -e {marker} ]; then'
        ' echo no marker here; echo a part > $out; exit 1; fi; echo once > $out";'
        ' in make "top" { inherit once; } "read line < $once; echo $line $once > $out"'
    )[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        found = yard.rebuild(ghost, graph, graph.derivations)
        signed = yard.signed(graph)
    assert {"once": "failed", "top": "rebuilt"} == _words(found.outputs, signed)
    failure = next(seen.failure for path, seen in found.outputs.items() if path.endswith("-once"))
    assert failure is not None
    assert "no marker here" in failure
    # Nix leaves the part that was written where it lies.
    assert found.strays == ()


def test_a_missing_source_is_said_and_not_waited_for(yard: Yard) -> None:
    """Without the input a builder is not run, and the evidence says which input it was."""
    (yard.store.root / "data").write_text("data")
    top = yard.build(f'make "top" {{ data = {yard.store.root}/data; }} "echo top > $out"')[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        source = graph.derivations[graph.top].input_srcs[0]
    with yard.ghost(hide=[source]) as ghost:
        from ec_verify.ghost import database

        database.remove(ghost.database, {path for path in database.referrers(ghost.database, [source]) if path != top})
        found = yard.rebuild(ghost, graph, graph.derivations)
    evidence = found.outputs[top]
    assert evidence.rebuilt is None
    assert evidence.failure is not None


def test_an_input_that_nobody_vouches_for_makes_a_rebuild_prove_nothing(yard: Yard) -> None:
    """An input in no manifest, without signature and not built here, makes the evidence unsound."""
    top = yard.build(
        'let tool = make "tool" {} "echo tool > $out";'
        ' in make "top" { inherit tool; } "read line < $tool; echo $line > $out"'
    )[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        signed = {path: seen for path, seen in yard.signed(graph).items() if path == top}
        alone = yard.rebuild(ghost, graph, [graph.top], signed).outputs[top]
        everything = yard.rebuild(ghost, graph, graph.derivations, signed).outputs[top]
    assert signed[top] == alone.rebuilt
    assert alone.unsound is not None
    assert "-tool is in no manifest" in alone.unsound
    assert everything.unsound is None


def _random_graph(chance: random.Random, nodes: int) -> str:
    """Return an expression of *nodes* derivations; one in six draws numbers, references are kept or not."""
    lines = []
    for number in range(nodes):
        needs = chance.sample(range(number), min(number, chance.randrange(4)))
        names = " ".join(f"n{need}" for need in needs)
        first = _NOISE if chance.randrange(6) == 0 else "echo still"
        read = "".join(f" read line < $n{need}; echo $line;" for need in needs)
        keep = " ".join(f"$n{need}" for need in needs if chance.randrange(2))
        lines.append(f'n{number} = make "n{number}" {{ inherit {names}; }} "( {first};{read} echo {keep} ) > $out";')
    everything = " ".join(f"n{number}" for number in range(nodes))
    listed = " ".join(f"$n{number}" for number in range(nodes))
    return f'let {" ".join(lines)} in make "top" {{ inherit {everything}; }} "echo {listed} > $out"'


@pytest.mark.parametrize("seed", [1, 5, 20])
def test_a_random_subset_gives_the_verdicts_that_one_at_a_time_gives(yard: Yard, seed: int) -> None:
    """Verdicts depend on what differs and who uses it, not on what happened to be tested together."""
    chance = random.Random(seed)  # noqa: S311 - a test's shuffle
    top = yard.build(_random_graph(chance, 50))[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        signed = yard.signed(graph)
        # By name: hash parts depend on where the store is, and another subset might hold no heir.
        subset = chance.sample(sorted(graph.derivations, key=_name), 18)
        together = yard.rebuild(ghost, graph, subset, signed)
        singles: dict[str, OutputEvidence] = {}
        for derivation in subset:
            wanted = graph.outputs([derivation])
            alone = yard.rebuild(ghost, graph, [derivation], signed).outputs
            singles |= {path: seen for path, seen in alone.items() if path in wanted}
    with StoreDatabase.open(yard.location.state, store_dir=yard.location.store_dir) as database:
        references = {path: row.references for path, row in database.all_infos().items()}
    one_at_a_time = _words(attribute(singles, graph, references, signed), signed)
    # Nothing is said of what was built only because it refers to an output under test.
    at_once = _words(together.outputs, signed)
    assert one_at_a_time == at_once
    assert {"rebuilt", "unreproducible", "inherited"} == set(at_once.values())


def test_the_store_is_as_it_was(yard: Yard) -> None:
    """After all rounds the real store directory holds the same names, bytes and metadata."""
    top = yard.build(_CHAIN)[0]
    before = {entry.name: entry.lstat().st_ctime_ns for entry in Path(yard.location.store).iterdir()}
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        yard.rebuild(ghost, graph, graph.derivations)
    assert before == {entry.name: entry.lstat().st_ctime_ns for entry in Path(yard.location.store).iterdir()}
