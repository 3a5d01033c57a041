"""A memory that somebody tampered with, or a disk that lost it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ec_fetch.errors import (
    DamagedStateError,
)

REMEMBERED = ["metadata/timestamp.json", "metadata/snapshot.json", "metadata/targets.json"]


@pytest.mark.parametrize("name", REMEMBERED)
@pytest.mark.parametrize("left", [b"", b"{}", b"\0" * 99, b'{"signatures":[],"signed":{"_type":"timestamp"}}', None])
def test_a_damaged_memory_is_named(world: Any, name: str, left: bytes | None) -> None:
    """The library would ignore the file and forget what it saw; we refuse, and say which file and what to do."""
    world.client().refresh()
    path = world.path / "state" / name
    path.write_bytes(path.read_bytes()[:-9] if left is None else left)
    with pytest.raises(DamagedStateError) as caught:
        world.client().refresh()
    assert str(path) in str(caught.value)
    assert "move the whole directory away" in (caught.value.hint or "")


@pytest.mark.parametrize("name", REMEMBERED)
def test_a_removed_memory_is_named(world: Any, name: str) -> None:
    """Removing one file would allow a rollback of it."""
    world.client().refresh()
    (world.path / "state" / name).unlink()
    with pytest.raises(DamagedStateError, match="is missing"):
        world.client().refresh()


@pytest.mark.parametrize("name", REMEMBERED)
def test_a_memory_put_back_to_an_older_state_is_named(world: Any, name: str) -> None:
    """An older file of the same node is validly signed, and still refused."""
    world.client().refresh()
    path = world.path / "state" / name
    older = path.read_bytes()
    world.release(2, "runner")
    world.client().refresh()
    path.write_bytes(older)
    with pytest.raises(DamagedStateError, match="older"):
        world.client().refresh()


def test_a_memory_with_a_strangers_file_is_named(world: Any, stranger: Any) -> None:
    """A file that no accepted key signed was put there."""
    world.client().refresh()
    world.forge("timestamp", keys=[stranger])
    (world.path / "state/metadata/timestamp.json").write_bytes((world.trust / "timestamp.json").read_bytes())
    with pytest.raises(DamagedStateError, match="no signature"):
        world.client().refresh()


@pytest.mark.parametrize("damage", ["remove", "empty", "swap"])
def test_a_damaged_chain_of_roots_is_named(world: Any, damage: str) -> None:
    """Forgetting a root would bring revoked keys back."""
    world.rotate(bool)
    world.rotate(bool)
    world.client().refresh()
    path = world.path / "state/metadata/root_history/2.root.json"
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "empty" else path.with_name("3.root.json").read_bytes())
    with pytest.raises(DamagedStateError, match=r"2\.root\.json"):
        world.client().refresh()


def test_a_chain_of_roots_cut_at_its_end_is_named(world: Any) -> None:
    """The newest root was removed: what was verified before says so."""
    world.rotate(bool)
    world.client().refresh()
    (world.path / "state/metadata/root_history/2.root.json").unlink()
    with pytest.raises(DamagedStateError, match=r"2\.root\.json"):
        world.client().refresh()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"files":{},"refreshed":1,"schema":"ec-runner.last-verified.v1"}\n'])
def test_a_damaged_last_state_is_named(world: Any, damage: bytes) -> None:
    """Offline, too, a damaged file is no answer."""
    world.client().refresh()
    path = world.path / "state/last-verified.json"
    path.write_bytes(damage)
    with pytest.raises(DamagedStateError, match="last-verified"):
        world.client().offline()


def test_a_changed_last_state_does_not_verify(world: Any) -> None:
    """Offline metadata are verified from the pinned root each time, not believed because they lie there."""
    world.client().refresh()
    path = world.path / "state/last-verified.json"
    document = json.loads(path.read_bytes())
    document["files"]["targets.json"] = document["files"]["snapshot.json"]
    path.write_bytes(json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    with pytest.raises(DamagedStateError, match="does not verify"):
        world.client().offline()


def test_the_memory_of_another_trust_root_is_named(world: Any) -> None:
    """A directory that belongs to another root is not mixed with this one."""
    world.client().refresh()
    (world.path / "other").mkdir()
    other = type(world)(world.path / "other")
    with pytest.raises(DamagedStateError, match="another trust root"):
        world.client(root=other.root).refresh()
    with pytest.raises(DamagedStateError, match="pinned root"):
        world.client(root=other.root).offline()
