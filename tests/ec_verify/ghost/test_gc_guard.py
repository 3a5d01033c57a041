"""While paths are examined, a garbage collection must leave them alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_verify.ghost.gc_guard import temporary_roots

if TYPE_CHECKING:
    from tests.ec_verify.ghost.conftest import Yard

pytestmark = [pytest.mark.nix, pytest.mark.root]


def test_a_collection_spares_what_is_examined_and_takes_it_afterwards(yard: Yard) -> None:
    """Nix's own collector honours the roots while they are held, and no longer."""
    output = yard.build('make "a" {} "echo a > $out"')[0]
    other = yard.build('make "b" {} "echo b > $out"')[0]
    with temporary_roots(yard.location, [output]) as reason:
        assert reason is None
        yard.store.run("nix-store", "--gc")
        assert Path(output).exists()
        assert not Path(other).exists()
    yard.store.run("nix-store", "--gc")
    assert not Path(output).exists()
    assert not (yard.location.state / "temproots" / str(os.getpid())).exists()


def test_a_state_directory_that_cannot_be_written_is_a_reason_and_no_error(yard: Yard) -> None:
    """Without temporary roots the run goes on and says so."""
    directory = yard.location.state / "temproots"
    for file in directory.iterdir():
        file.unlink()
    directory.rmdir()
    directory.write_text("")
    with temporary_roots(yard.location, ["/nix/store/x"]) as reason:
        assert reason is not None
        assert "temproots" in reason
