"""What a node remembers: across clients, across interruptions, across roots."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.errors import LocalError
from ec_fetch.errors import (
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

RUNNER = "/nix/store/" + "0" * 32 + "-runner"


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


def test_a_state_directory_that_cannot_be_made_is_named(world: Any) -> None:
    """A file where the directory should be is said with its path."""
    (world.path / "state").write_text("in the way")
    with pytest.raises(StateError, match="state"):
        world.client()
