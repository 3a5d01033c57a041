"""Refreshing, finding and downloading, and the errors that are nobody's attack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ec_closure.errors import TransportError, TrustError, UsageError
from ec_fetch.client import TrustClient
from ec_fetch.errors import (
    FetchError,
    MetadataError,
    NoTargetError,
    RefusedError,
    TargetMismatchError,
)
from ec_fetch.strict import LIMITS
from ec_fetch.targets import FIELD
from ec_release.trust import roles as publisher

if TYPE_CHECKING:
    from collections.abc import Callable

RUNNER = "/nix/store/" + "0" * 32 + "-runner"


def test_what_was_published_is_found_and_downloaded(world: Any) -> None:
    """A fresh client with nothing but the pinned root gets the manifest's bytes."""
    client = world.client()
    state = client.refresh()
    target = client.find(RUNNER)
    assert world.manifest("runner", "v1", 1) == client.download(target)
    assert (
        target.name,
        target.tag,
        target.version,
        target.toplevel,
        target.system,
    ) == ("v1/runner.closure.json.zst", "v1", 1, RUNNER, "runner")
    assert (
        state.root_version,
        state.timestamp_version,
        state.snapshot_version,
        state.targets_version,
        state.latest_version,
        state.offline,
    ) == (1, 2, 2, 2, 1, False)


def test_the_age_of_metadata_is_what_the_timestamp_key_signed(world: Any) -> None:
    """The age counts from the signed time of issue, whenever the node fetched."""
    world.later(hours=30)
    state = world.client().refresh()
    assert state.age(world.time) == 30 * 3600
    assert (state.offline, state.expired) == (False, ())
    assert world.time == state.refreshed


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_us_is_its_own_finding(world: Any, counting: Any, gone: Any, status: int) -> None:
    """Refused at the first request that must succeed: address or token, not an attack."""
    name = "2.root.json" if status == 401 else "timestamp.json"
    with pytest.raises(RefusedError) as caught:
        world.client(fetcher=counting({name: gone(status)})).refresh()
    assert isinstance(caught.value, TransportError)
    assert "token" in (caught.value.hint or "")


def test_a_later_gap_is_no_refusal(world: Any, counting: Any, gone: Any) -> None:
    """A server that has a timestamp but not what it names is at fault itself."""
    with pytest.raises(FetchError):
        world.client(fetcher=counting({"2.snapshot.json": gone(404)})).refresh()


def test_a_lost_line_is_transport_and_not_trust(world: Any, counting: Any, gone: Any) -> None:
    """Who cannot reach the server did not catch an attacker."""
    with pytest.raises(FetchError) as caught:
        world.client(fetcher=counting({"timestamp.json": gone(0)})).refresh()
    assert not isinstance(caught.value, TrustError)


def test_a_second_refresh_downloads_only_what_changed(world: Any, counting: Any) -> None:
    """Nodes that refresh every hour ask for a root that is not there, and a timestamp."""
    world.client().refresh()
    fetcher = counting()
    world.client(fetcher=fetcher).refresh()
    assert fetcher.asked == ["2.root.json", "timestamp.json"]


def test_withdrawn_and_minimum_versions_are_signed(world: Any) -> None:
    """What the publisher says about releases arrives with the metadata."""
    field = {"x-ec-runner": {"latest": 9, "min_version": 2, "withdrawn": [3, 1]}}
    world.forge("targets", lambda signed: _set(signed, version=3, unrecognized_fields=field))
    state = world.client().refresh()
    assert (state.latest_version, state.min_version, state.withdrawn) == (9, 2, (1, 3))


@pytest.mark.parametrize("wrong", ["text", {"latest": -1}, {"withdrawn": 3}, {"min_version": "2"}])
def test_malformed_standing_is_an_error(world: Any, wrong: Any) -> None:
    """A publisher that signs nonsense is told, not obeyed by half."""
    world.forge("targets", lambda signed: _set(signed, version=3, unrecognized_fields={"x-ec-runner": wrong}))
    with pytest.raises(MetadataError, match="x-ec-runner"):
        world.client().refresh()


def test_what_cannot_be_read_does_not_replace_what_could(world: Any) -> None:
    """A publisher that signs nonsense does not take their last whole state from nodes."""
    before = world.client().refresh()
    world.forge("targets", lambda signed: _set(signed, version=3, unrecognized_fields={"x-ec-runner": "nonsense"}))
    with pytest.raises(MetadataError):
        world.client().refresh()
    assert before.targets_version == world.client().offline().targets_version


def test_publisher_and_reader_agree_on_names_and_sizes() -> None:
    """Both sides state them on their own, because neither package imports the other."""
    assert (publisher.FIELD, publisher.LIMITS) == (FIELD, LIMITS)


def test_a_target_replaced_after_signing_is_noticed(world: Any) -> None:
    """Assets on a release server can be changed by whoever runs it; nobody believes them."""
    (world.tree / "download/v1/runner.closure.json.zst").write_bytes(world.manifest("evil", "v1", 1))
    client = world.client()
    client.refresh()
    with pytest.raises(TargetMismatchError):
        client.download(client.find(RUNNER))


def test_the_manifest_of_another_system_is_noticed(world: Any) -> None:
    """Two signed manifests cannot be swapped: each has its own name in the metadata."""
    files = world.release(2, "runner", "other")
    files["runner.closure.json.zst"].write_bytes(files["other.closure.json.zst"].read_bytes())
    client = world.client()
    client.refresh()
    with pytest.raises(TargetMismatchError):
        client.download(client.find(RUNNER))


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda _data: b""])
def test_a_target_of_another_length_is_noticed(world: Any, change: Callable[[bytes], bytes]) -> None:
    """Cut short or grown: not what was signed."""
    path = world.tree / "download/v1/runner.closure.json.zst"
    path.write_bytes(change(path.read_bytes()))
    client = world.client()
    client.refresh()
    with pytest.raises(TargetMismatchError):
        client.download(client.find(RUNNER))


def test_a_target_that_is_gone_is_the_servers_fault(world: Any) -> None:
    """A deleted asset is transport, not trust."""
    (world.tree / "download/v1/runner.closure.json.zst").unlink()
    client = world.client()
    client.refresh()
    with pytest.raises(FetchError, match=r"v1/runner\.closure\.json\.zst"):
        client.download(client.find(RUNNER))


def test_a_system_that_was_never_published_has_no_target(world: Any) -> None:
    """Unknown is its own error, with the path in it."""
    client = world.client()
    client.refresh()
    with pytest.raises(NoTargetError, match="unknown"):
        client.find("/nix/store/" + "0" * 32 + "-unknown")


def test_nothing_is_answered_before_something_is_verified(world: Any) -> None:
    """Forgetting to refresh is a programming error, not an empty answer."""
    with pytest.raises(UsageError, match="refresh"):
        world.client().find(RUNNER)


def test_a_reference_time_without_zone_is_refused(world: Any) -> None:
    """Guessing the zone of a clock would be off by hours."""
    with pytest.raises(UsageError, match="zone"):
        TrustClient(world.settings(), reference_time=world.time.replace(tzinfo=None))


@pytest.mark.parametrize(
    "base",
    ["", "ftp://host/", "https:///path/", "file://host/path/", "http://host:port/", "http://host/?x=", "/path/"],
)
def test_addresses_that_make_no_sense_are_refused(world: Any, base: str) -> None:
    """A typing error in the configuration is a usage error, before anything is asked."""
    with pytest.raises(UsageError):
        world.client(metadata_base=base)


def _set(signed: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(signed, name, value)
