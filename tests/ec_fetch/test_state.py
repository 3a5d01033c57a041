"""What a node remembers: across clients, across interruptions, and when somebody tampers with its memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.errors import LocalError, TrustError
from ec_fetch.errors import (
    DamagedStateError,
    FetchError,
    NoMetadataError,
    OfflineError,
    RolledBackError,
    StateBusyError,
    StateError,
)
from ec_fetch.state import StateDirectory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUNNER = "/nix/store/" + "0" * 32 + "-runner"
REMEMBERED = ["metadata/timestamp.json", "metadata/snapshot.json", "metadata/targets.json"]


def test_offline_answers_as_the_last_refresh_did(world: Any) -> None:
    """A node without network knows what it knew, and says that it is offline."""
    online = world.client().refresh()
    offline = world.client().offline()
    assert online == type(online)(**{**vars(offline), "offline": False})
    assert offline.offline


def test_offline_reports_expiry_and_does_not_refuse(world: Any) -> None:
    """What has expired is named; whether that fails the node is policy."""
    world.client().refresh()
    world.later(days=15)
    state = world.client().offline()
    assert tuple(role for role in state.expired) == ("timestamp", "snapshot")
    assert state.age(world.time) == 15 * 86400


def test_no_clock_is_read(make_world: Callable[..., Any]) -> None:
    """Everything holds at the reference time alone, were it years from the machine's clock."""
    world = make_world(time=datetime(2001, 2, 3, tzinfo=UTC))
    world.release(1, "runner")
    assert () == world.client().refresh().expired
    assert () == world.client().offline().expired


def test_offline_needs_no_server(world: Any) -> None:
    """Nothing is asked for, and what was downloaded is still there."""
    client = world.client()
    client.refresh()
    client.download(client.find(RUNNER))
    world.tree.rename(world.path / "unplugged")
    client = world.client()
    client.offline()
    assert world.manifest("runner", "v1", 1) == client.download(client.find(RUNNER))


def test_offline_does_not_download(world: Any) -> None:
    """Offline means offline, also where the server could be reached."""
    world.client().refresh()
    client = world.client()
    client.offline()
    with pytest.raises(OfflineError):
        client.download(client.find(RUNNER))


def test_a_node_that_was_never_online_has_no_metadata(world: Any) -> None:
    """No memory is its own error, and no damage."""
    with pytest.raises(NoMetadataError) as caught:
        world.client().offline()
    assert isinstance(caught.value, LocalError)


def test_rollback_protection_survives_the_process(world: Any) -> None:
    """Another client with the same directory knows what the first one saw."""
    before = world.keep()
    world.release(2, "runner")
    world.client().refresh()
    world.show(before)
    with pytest.raises(RolledBackError):
        world.client().refresh()


def test_rollback_protection_survives_an_interruption(
    world: Any, counting: Any, gone: Callable[[int], Exception]
) -> None:
    """A timestamp that was verified is remembered, even if nothing else could be fetched."""
    world.client().refresh()
    before = world.keep()
    world.release(2, "runner")
    with pytest.raises(FetchError):
        world.client(fetcher=counting({"3.snapshot.json": gone(0)})).refresh()
    world.show(before)
    with pytest.raises(RolledBackError):
        world.client().refresh()


@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "3.snapshot.json", "3.targets.json"])
def test_an_interrupted_refresh_leaves_the_last_whole_state(
    world: Any, counting: Any, gone: Callable[[int], Exception], name: str
) -> None:
    """Whatever was not fetched, offline still answers from the state before, and the next refresh succeeds."""
    before = world.client().refresh()
    world.release(2, "runner")
    with pytest.raises(FetchError):
        world.client(fetcher=counting({name: gone(0)})).refresh()
    assert before.targets_version == world.client().offline().targets_version
    assert before.targets_version + 1 == world.client().refresh().targets_version


def test_an_interrupted_rotation_is_no_damage(world: Any, counting: Any, gone: Callable[[int], Exception]) -> None:
    """The new root arrived, the timestamp under its keys did not: the next refresh goes on from there."""
    world.client().refresh()
    world.rotate(bool)
    with pytest.raises(FetchError):
        world.client(fetcher=counting({"timestamp.json": gone(0)})).refresh()
    assert world.client().refresh().root_version == 2


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


def test_a_newer_pinned_root_keeps_the_memory(world: Any) -> None:
    """An upgraded image pins a later root; what the node saw before still counts."""
    world.client().refresh()
    before = world.keep()
    world.rotate(bool)
    world.rotate(bool)
    world.release(2, "runner")
    newest = (world.trust / "3.root.json").read_bytes()
    assert world.client(root=newest).refresh().root_version == 3
    world.show(before | {"3.root.json": newest})
    with pytest.raises(RolledBackError):
        world.client(root=newest).refresh()


def test_an_older_pinned_root_does_not_bring_revoked_keys_back(world: Any) -> None:
    """After a rollback of the image, the roots that the node saw still count, whatever the server hides."""
    old = world.root
    world.rotate(bool)
    world.client().refresh()
    (world.trust / "2.root.json").unlink()
    assert world.client(root=old).refresh().root_version == 2


def test_two_refreshes_at_once_are_refused(world: Any) -> None:
    """The library's memory is for one process at a time."""
    client = world.client()
    with StateDirectory(world.path / "state").locked(), pytest.raises(StateBusyError):
        client.refresh()
    client.refresh()


def test_the_cache_is_hashed_again_each_time(world: Any) -> None:
    """A manifest changed on the disk is fetched again, never used."""
    client = world.client()
    client.refresh()
    target = client.find(RUNNER)
    genuine = client.download(target)
    (world.path / "state/targets" / target.sha256).write_bytes(b"x" * target.length)
    assert genuine == client.download(target)


def test_a_changed_cache_is_no_answer_offline(world: Any) -> None:
    """Without network there is no genuine copy to be had, so there is none."""
    client = world.client()
    client.refresh()
    target = client.find(RUNNER)
    client.download(target)
    (world.path / "state/targets" / target.sha256).write_bytes(b"x" * target.length)
    client = world.client()
    client.offline()
    with pytest.raises(OfflineError):
        client.download(target)


def test_the_cache_forgets_the_oldest(world: Any) -> None:
    """Nodes live for years; their disks do not fill with manifests."""
    client = world.client()
    client.refresh()
    cache = world.path / "state/targets"
    for number in range(40):
        (cache / f"{number:064x}").write_bytes(b"old")
    client.download(client.find(RUNNER))
    assert len(list(cache.iterdir())) == 16


def test_a_large_target_goes_straight_to_its_file(world: Any, tmp_path: Path) -> None:
    """Boot images are downloaded by name, verified, and appear whole."""
    client = world.client()
    client.refresh()
    client.download_to("v1/disk.img", tmp_path / "disk.img")
    assert (tmp_path / "disk.img").read_bytes() == b"image v1"


def test_a_large_target_that_fails_leaves_nothing(world: Any, tmp_path: Path) -> None:
    """What does not verify never appears under its name, and no scrap remains."""
    (world.tree / "download/v1/disk.img").write_bytes(b"other v1")
    client = world.client()
    client.refresh()
    (tmp_path / "staged").mkdir()
    with pytest.raises(TrustError):
        client.download_to("v1/disk.img", tmp_path / "staged/disk.img")
    assert list((tmp_path / "staged").iterdir()) == []


def test_a_state_directory_that_cannot_be_made_is_named(world: Any) -> None:
    """A file where the directory should be is said with its path."""
    (world.path / "state").write_text("in the way")
    with pytest.raises(StateError, match="state"):
        world.client()
