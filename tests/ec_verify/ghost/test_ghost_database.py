"""The ghost's database: what Nix itself would have written into it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from ec_verify.ghost import database

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ec_verify.ghost.conftest import Yard

pytestmark = [pytest.mark.nix, pytest.mark.root]

_OUTPUTS = """
select ValidPaths.path, DerivationOutputs.id, DerivationOutputs.path
from DerivationOutputs join ValidPaths on ValidPaths.id = DerivationOutputs.drv
"""


def _outputs(file: Path) -> set[tuple[str, str, str]]:
    with closing(sqlite3.connect(file)) as connection:
        return set(connection.execute(_OUTPUTS))


def test_declared_outputs_are_those_that_nix_registered(yard: Yard) -> None:
    """A newer Nix builds no derivation whose outputs its database does not know."""
    top = yard.build(
        'let pair = make "pair" { outputs = [ "out" "doc" ]; } "echo out > $out; echo doc > $doc";'
        ' in make "top" { inherit pair; } "echo $pair > $out"'
    )[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, top)
        assert set() == _outputs(ghost.database)
        for _ in range(2):
            database.declare(ghost.database, graph.derivations)
            assert _outputs(yard.location.state / "db" / "db.sqlite") == _outputs(ghost.database)
    assert 3 == len(_outputs(yard.location.state / "db" / "db.sqlite"))
