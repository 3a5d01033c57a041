"""Reading the build graph: a derivation is believed because of its name, not because it lies there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_verify.errors import NixError

if TYPE_CHECKING:
    from tests.ec_verify.ghost.conftest import Yard

pytestmark = [pytest.mark.nix, pytest.mark.root]


def _overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)
    os.utime(path, (1, 1))


def test_an_altered_derivation_is_refused(yard: Yard) -> None:
    """Its name is the hash of its text."""
    output = yard.build('make "a" {} "echo good > $out"')[0]
    derivation = next(yard.location.store.glob("*-a.drv"))
    _overwrite(derivation, derivation.read_bytes().replace(b"good", b"evil"))
    with yard.ghost() as ghost, pytest.raises(NixError, match="not the derivation that its name promises"):
        yard.graph(ghost, output)


def test_a_link_in_the_place_of_a_derivation_is_not_followed(yard: Yard, tmp_path: Path) -> None:
    """It would lead out of the ghost."""
    output = yard.build('make "a" {} "echo good > $out"')[0]
    derivation = next(yard.location.store.glob("*-a.drv"))
    outside = tmp_path / "outside"
    outside.write_bytes(derivation.read_bytes())
    derivation.unlink()
    derivation.symlink_to(outside)
    with yard.ghost() as ghost, pytest.raises(NixError, match="no such derivation"):
        yard.graph(ghost, output)


def test_a_fifo_in_the_place_of_a_derivation_does_not_hang(yard: Yard) -> None:
    """Nothing waits for a writer that never comes."""
    output = yard.build('make "a" {} "echo good > $out"')[0]
    derivation = next(yard.location.store.glob("*-a.drv"))
    derivation.unlink()
    os.mkfifo(derivation)
    with yard.ghost() as ghost, pytest.raises(NixError, match="no regular file"):
        yard.graph(ghost, output)


def test_inputs_come_before_those_who_need_them(yard: Yard) -> None:
    """In any order asked for."""
    output = yard.build(
        'let a = make "a" {} "echo a > $out"; b = make "b" { inherit a; } "echo b > $out";'
        ' in make "c" { inherit a b; } "echo c > $out"'
    )[0]
    with yard.ghost() as ghost:
        graph = yard.graph(ghost, output)
    assert ["a.drv", "b.drv", "c.drv"] == [Path(path).name[33:] for path in graph.in_order(sorted(graph.derivations))]
