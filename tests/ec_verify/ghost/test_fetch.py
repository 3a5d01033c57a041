"""Fetching what builders need: inputs may come from a cache, outputs under test never."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_closure.signing import SecretKey
from ec_verify.ghost import database

if TYPE_CHECKING:
    from tests.ec_verify.ghost.conftest import Yard

pytestmark = [pytest.mark.nix, pytest.mark.root]

_GRAPH = """
let
  tool = make "tool" {} "echo tool > $out";
  middle = make "middle" { inherit tool; } "read line < $tool; echo $line > $out";
in make "top" { inherit middle tool; } "read line < $middle; echo $line $middle > $out"
"""


def _cache(yard: Yard, *, signed: bool) -> Yard:
    """Put every output of the store into a cache that *yard* then uses, with a key that it trusts."""
    key = SecretKey.generate("cache-1")
    file = yard.store.root / "key"
    file.write_text(key.render())
    address = f"file://{yard.store.root}/cache" + (f"?secret-key={file}" if signed else "")
    outputs = list(yard.store.run("nix-store", "--query", "--requisites", "--include-outputs", *_drvs(yard)).split())
    yard.store.run("nix", "copy", "--to", address, *(path for path in outputs if not path.endswith(".drv")))
    return replace(
        yard,
        settings=replace(
            yard.settings,
            substituters=(f"file://{yard.store.root}/cache",),
            trusted_keys=(str(key.public),),
        ),
    )


def _drvs(yard: Yard) -> list[str]:
    return [str(path) for path in yard.location.store.glob("*-top.drv")]


def test_a_cache_that_offers_every_output_under_test_is_not_asked(yard: Yard) -> None:
    """As many builders run as outputs count as rebuilt, though a signed cache has them all."""
    top = yard.build(_GRAPH)[0]
    yard = _cache(yard, signed=True)
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        found = yard.rebuild(ghost, graph, graph.derivations)
    rebuilt = [seen for seen in found.outputs.values() if seen.rebuilt is not None]
    assert 3 == found.builders == len(rebuilt)
    assert yard.signed(graph) == {seen.path: seen.rebuilt for seen in rebuilt}


def _without_tool(yard: Yard, ghost: object) -> str:
    """Take the tool out of the ghost's database, as on a node that never had it."""
    tool = next(str(path) for path in yard.location.store.glob("*-tool"))
    rows = {path for path in database.referrers(ghost.database, [tool]) if not path.endswith(".drv")}
    database.remove(ghost.database, rows)
    return tool


def test_a_missing_input_comes_from_a_cache_that_is_trusted(yard: Yard) -> None:
    """A build input that no manifest lists is good when a trusted key signed its bytes."""
    top = yard.build(_GRAPH)[0]
    yard = _cache(yard, signed=True)
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        signed = {path: seen for path, seen in yard.signed(graph).items() if not path.endswith("-tool")}
        _without_tool(yard, ghost)
        tests = [path for path in graph.derivations if not path.endswith("-tool.drv")]
        found = yard.rebuild(ghost, graph, tests, signed)
    assert found.builders == 2
    assert signed == {path: seen.rebuilt for path, seen in found.outputs.items()}
    assert all(seen.unsound is None for seen in found.outputs.values())


def test_an_input_that_an_untrusted_cache_offers_is_built_instead(yard: Yard) -> None:
    """Without a good signature nothing is taken: the missing tool is built from its source."""
    top = yard.build(_GRAPH)[0]
    yard = _cache(yard, signed=False)
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        signed = {path: seen for path, seen in yard.signed(graph).items() if not path.endswith("-tool")}
        _without_tool(yard, ghost)
        tests = [path for path in graph.derivations if not path.endswith("-tool.drv")]
        found = yard.rebuild(ghost, graph, tests, signed)
    assert found.builders == 3
    assert all(seen.unsound is None for seen in found.outputs.values())


def test_what_was_fetched_above_an_output_under_test_is_built_anew(yard: Yard) -> None:
    """A fetched path that refers to an output under test must not keep the old one alive."""
    top = yard.build(
        'let low = make "low" {} "echo low > $out"; above = make "above" { inherit low; } "echo $low > $out";'
        ' in make "top" { inherit above; } "read line < $above; echo $line > $out"'
    )[0]
    yard = _cache(yard, signed=True)
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        signed = yard.signed(graph)
        above = next(path for path in graph.owners if path.endswith("-above"))
        database.remove(ghost.database, set(database.referrers(ghost.database, [above])))
        tests = [path for path in graph.derivations if not path.endswith("-above.drv")]
        found = yard.rebuild(ghost, graph, tests, {path: seen for path, seen in signed.items() if path != above})
    assert found.strays == ()
    assert signed[top] == found.outputs[top].rebuilt
