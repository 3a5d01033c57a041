"""Killed between any two steps: readers see the old state or the new one, and running again completes it.

The publisher runs in a forked process that exits, without any clean-up, before its n-th change to the file system. n
grows until the publisher gets through.
"""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.signer import CryptoSigner
from tests.interruption import killed_before

from ec_fetch.errors import MetadataError, RefusedError
from ec_release.trust.ceremony import apply, propose, read_pending
from ec_release.trust.proposal import replace_keys
from ec_release.trust.refresh import refresh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tuf.api.metadata import Root


def copies(place: Any, make_place: Any, step: int) -> Any:
    """Return a copy of *place*, so that each attempt starts from the same state."""
    target = place.path / f"copy-{step}"
    target.mkdir()
    for name in ("tree", "keys", "reader"):
        if (place.path / name).exists():
            shutil.copytree(place.path / name, target / name)
    return make_place(target, place.time)


def releases_are_whole(tree: Path) -> bool:
    """Return whether every visible release holds exactly what its check sums name."""
    for release in (tree / "download").iterdir():
        if release.name != "trust":
            names = {line.split("  ")[1] for line in (release / "SHA256SUMS").read_text().splitlines()}
            if names | {"SHA256SUMS"} != {path.name for path in release.iterdir()}:
                return False
    return True


def steps(place: Any, make_place: Any, work: Callable[[Any], object], check: Callable[[Any], None]) -> int:
    """Kill *work* before every step in turn; *check* the place after each; return how many steps there were."""
    step = 0
    while True:
        copy = copies(place, make_place, step)
        died = killed_before(step, partial(work, copy))
        check(copy)
        work(copy)
        if not died:
            return step
        step += 1


def test_publishing(place: Any, make_place: Any) -> None:
    """A node that refreshes at the worst moment gets release 1 or release 2, whole."""
    place.publish(1)
    place.reader().refresh()

    def check(copy: Any) -> None:
        reader = copy.reader()
        state = reader.refresh()
        assert state.latest_version in (1, 2)
        for closure in reader.closures():
            assert reader.download(closure) == copy.manifest(closure.version)
        assert releases_are_whole(copy.tree)

    def work(copy: Any) -> None:
        copy.publish(2)

    assert steps(place, make_place, work, check) > 15
    assert make_place(place.path / "copy-3").reader().refresh().latest_version == 2


def test_initialising(new_place: Any, make_place: Any) -> None:
    """An interrupted start is finished by starting again, with the keys that were made."""

    def check(copy: Any) -> None:
        if (copy.keys / "root.json").exists():
            try:
                copy.reader().refresh()
            except RefusedError:
                assert not (copy.tree / "download/trust/timestamp.json").exists()

    def work(copy: Any) -> None:
        if not (copy.tree / "download/trust/timestamp.json").exists():
            copy.initialise(keys=2, threshold=2)

    assert steps(new_place, make_place, work, check) > 10
    assert make_place(new_place.path / "copy-3").reader().refresh().root_version == 1


def test_refreshing(place: Any, make_place: Any) -> None:
    """A node is never shown half a refresh."""
    place.publish(1)
    place.reader().refresh()
    place.later(days=6)

    def check(copy: Any) -> None:
        assert copy.reader().refresh().timestamp_version in (2, 3, 4)

    def work(copy: Any) -> None:
        refresh(copy.backend, copy.signing, copy.root)

    assert steps(place, make_place, work, check) > 4


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_rotating_a_key_that_is_still_at_hand(place: Any, make_place: Any, role: Any) -> None:
    """Old and new keys sign together, so that no node ever sees a state that it must refuse."""
    place.publish(1)
    place.reader().refresh()
    rotate(place, role)

    def check(copy: Any) -> None:
        assert copy.reader().refresh().root_version in (1, 2)

    def work(copy: Any) -> None:
        finish(copy)

    assert steps(place, make_place, work, check) >= 2
    assert make_place(place.path / "copy-1").reader().refresh().root_version == 2


def test_rotating_a_key_that_is_lost(place: Any, make_place: Any) -> None:
    """Without the old key there is a moment in which nodes refuse; running again ends it."""
    place.publish(1)
    place.reader().refresh()
    (place.keys / "timestamp-1.pem").unlink()
    rotate(place, "timestamp")

    def check(copy: Any) -> None:
        try:
            copy.reader().refresh()
        except MetadataError:
            finish(copy)
        copy.reader().refresh()

    steps(place, make_place, finish, check)


def rotate(place: Any, role: Any) -> None:
    """Propose a new key for *role*, with all signatures."""
    new = CryptoSigner.generate_ed25519()
    path = place.keys / f"{role}-9.pem"
    path.write_bytes(new.private_bytes)
    path.chmod(0o600)

    def edit(root: Root) -> None:
        replace_keys(root, role, list(root.roles[role].keyids), [new.public_key], None)

    propose(place.backend, place.signing, place.root, place.keys / "pending", edit)


def finish(place: Any) -> None:
    """Apply the proposal."""
    apply(place.backend, place.signing, place.root, read_pending(place.keys / "pending"))
