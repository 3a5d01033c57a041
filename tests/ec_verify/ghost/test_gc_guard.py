"""While paths are examined, a garbage collection must leave them alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_verify.ghost.gc_guard import temporary_roots

if TYPE_CHECKING:
    from tests.ec_verify.ghost.conftest import Yard

pytestmark = [pytest.mark.nix, pytest.mark.root]

# The collector looks for roots in the open files of all processes, and ends where another test's have too long names.
_COLLECT = ("unshare", "--pid", "--fork", "--mount-proc", "nix-store", "--gc")


def test_a_collection_spares_what_is_examined_and_takes_it_afterwards(yard: Yard) -> None:
    """Nix's own collector honours the roots while they are held, and no longer."""
    output = yard.build('make "a" {} "echo a > $out"')[0]
    other = yard.build('make "b" {} "echo b > $out"')[0]
    with temporary_roots(yard.location, [output]) as reason:
        assert reason is None
        yard.store.run(*_COLLECT)
        assert Path(output).exists()
        assert not Path(other).exists()
    yard.store.run(*_COLLECT)
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


def test_a_link_in_the_way_is_not_followed(yard: Yard) -> None:
    """Whoever plants a link under the name of our file does not choose what is overwritten."""
    victim = Path(yard.build('make "a" {} "echo a > $out"')[0])
    (yard.location.state / "temproots" / str(os.getpid())).symlink_to(victim)
    with temporary_roots(yard.location, [str(victim)]) as reason:
        assert reason is None
        assert victim.read_text() == "a\n"
        assert not (yard.location.state / "temproots" / str(os.getpid())).is_symlink()


def test_a_collection_that_does_not_end_is_not_waited_for_endlessly(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds the collector's lock for ever costs the protection, not the run."""
    monkeypatch.setattr("ec_verify.ghost.gc_guard._PATIENCE", 0.0)
    with (yard.location.state / "gc.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with temporary_roots(yard.location, []) as reason:
            assert reason is not None
