"""Timestamp, snapshot and targets: what a client refuses from whoever pretends to be the release server."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ec_fetch.errors import (
    ExpiredMetadataError,
    FetchError,
    MetadataError,
    MixedMetadataError,
    RefusedError,
    RolledBackError,
    UnsignedMetadataError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from securesystemslib.signer import CryptoSigner

    from ec_closure.errors import EcError

ONLINE = ["timestamp", "snapshot", "targets"]


def place_of(error: pytest.ExceptionInfo[EcError]) -> str:
    """Return what the error is about, without the version in front."""
    return (error.value.place or "").lstrip("0123456789.")


@pytest.mark.parametrize("role", ONLINE)
def test_unsigned_metadata_are_refused(world: Any, role: str) -> None:
    """Metadata without a signature count for nothing."""
    world.forge(role, keys=[])
    with pytest.raises(UnsignedMetadataError) as caught:
        world.client().refresh()
    assert f"{role}.json" == place_of(caught)


@pytest.mark.parametrize("role", ONLINE)
def test_metadata_of_a_stranger_are_refused(world: Any, stranger: CryptoSigner, role: str) -> None:
    """A valid signature of an unknown key counts for nothing."""
    world.forge(role, keys=[stranger])
    with pytest.raises(UnsignedMetadataError) as caught:
        world.client().refresh()
    assert f"{role}.json" == place_of(caught)


@pytest.mark.parametrize("role", ONLINE)
def test_a_key_signs_only_for_its_own_role(world: Any, role: str) -> None:
    """The key of another role counts for nothing."""
    world.forge(role, keys=world.signers("root"))
    with pytest.raises(UnsignedMetadataError):
        world.client().refresh()


@pytest.mark.parametrize("role", ONLINE)
def test_a_signature_over_other_bytes_is_refused(world: Any, role: str) -> None:
    """Content that was changed after signing is noticed, wherever its hash is not noticed first."""
    metadata = world.newest(role)
    metadata.signed.expires += timedelta(days=1)
    name = "timestamp.json" if role == "timestamp" else f"{metadata.signed.version}.{role}.json"
    (world.trust / name).write_bytes(metadata.to_bytes())
    with pytest.raises(UnsignedMetadataError if role == "timestamp" else MixedMetadataError):
        world.client().refresh()


@pytest.mark.parametrize("role", ONLINE)
def test_expired_metadata_are_refused(world: Any, role: str) -> None:
    """Each role's expiry is compared with the reference time."""
    world.forge(role, lambda signed: setattr(signed, "expires", world.time - timedelta(seconds=1)))
    with pytest.raises(ExpiredMetadataError) as caught:
        world.client().refresh()
    assert f"{role}.json" == place_of(caught)


def test_an_expired_root_is_refused(make_world: Callable[..., Any]) -> None:
    """A root that expired vouches for nothing, although it is pinned."""
    world = make_world()
    world.forge("root", lambda signed: setattr(signed, "expires", world.time - timedelta(seconds=1)))
    world.root = (world.trust / "1.root.json").read_bytes()
    with pytest.raises(ExpiredMetadataError, match="root"):
        world.client().refresh()


def test_expiry_is_judged_at_the_reference_time_alone(world: Any) -> None:
    """The same bytes are good at one reference time and expired at another; no clock is read."""
    world.client().refresh()
    world.later(days=8)
    with pytest.raises(ExpiredMetadataError):
        world.client("another").refresh()


def test_an_older_timestamp_is_refused(world: Any) -> None:
    """Who restores last week's server is told so by every node that saw this week's."""
    before = world.keep()
    world.release(2, "runner")
    world.client().refresh()
    world.show(before)
    with pytest.raises(RolledBackError) as caught:
        world.client().refresh()
    assert place_of(caught) == "timestamp.json"


def test_a_newer_timestamp_with_an_older_snapshot_is_refused(world: Any) -> None:
    """A stolen timestamp key alone cannot hide a release."""
    older = world.newest("timestamp").signed.snapshot_meta
    world.release(2, "runner")
    world.client().refresh()
    world.forge("timestamp", lambda signed: _set(signed, version=signed.version + 1, snapshot_meta=older))
    with pytest.raises(RolledBackError):
        world.client().refresh()


def test_a_newer_snapshot_with_older_targets_is_refused(world: Any) -> None:
    """Stolen snapshot and timestamp keys cannot hide a release either."""
    older = world.newest("snapshot").signed.meta
    world.release(2, "runner")
    world.client().refresh()
    world.forge("snapshot", lambda signed: _set(signed, version=signed.version + 1, meta=older))
    with pytest.raises(RolledBackError) as caught:
        world.client().refresh()
    assert place_of(caught) == "snapshot.json"


@pytest.mark.parametrize("role", ["snapshot", "targets"])
def test_files_of_two_states_are_not_mixed(world: Any, role: str) -> None:
    """An older file under a newer name is noticed by length, hash or version."""
    older = world.newest(role)
    world.release(2, "runner")
    (world.trust / f"{world.newest(role).signed.version}.{role}.json").write_bytes(older.to_bytes())
    with pytest.raises(MixedMetadataError) as caught:
        world.client().refresh()
    assert f"{role}.json" == place_of(caught)


@pytest.mark.parametrize(("role", "size"), [("timestamp", 17 << 10), ("snapshot", 257 << 10), ("targets", 17 << 20)])
def test_oversized_metadata_are_refused(world: Any, role: str, size: int) -> None:
    """Metadata have caps, also where somebody who holds the key signs more."""
    world.forge(role, lambda signed: signed.unrecognized_fields.update(filler="x" * size))
    with pytest.raises(MetadataError):
        world.client().refresh()


@pytest.mark.parametrize("role", ONLINE)
def test_truncated_metadata_are_refused(world: Any, role: str) -> None:
    """Half a file is no file."""
    path = max(world.trust.glob(f"*{role}.json"))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(MetadataError) as caught:
        world.client().refresh()
    assert f"{role}.json" == place_of(caught)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"null", b'{"signed":{}}', b"[" * 999, b"\xff\xfe{}", b"\x1f\x8b"])
def test_what_is_no_metadata_is_refused(world: Any, data: bytes) -> None:
    """Whatever a server sends instead of metadata ends in one named error."""
    (world.trust / "timestamp.json").write_bytes(data)
    with pytest.raises(MetadataError):
        world.client().refresh()


@pytest.mark.parametrize(("name", "kind"), [("2.root.json", RefusedError), ("2.snapshot.json", FetchError)])
def test_a_page_for_people_is_no_attack(world: Any, name: str, kind: type[EcError]) -> None:
    """A login page or a captive portal is on the way; nobody forged metadata."""
    (world.trust / name).write_bytes(b"\n<!DOCTYPE html><title>Sign in</title>")
    with pytest.raises(kind, match="web page"):
        world.client().refresh()


def test_duplicate_keys_in_json_are_refused(world: Any) -> None:
    """A document with two readings is refused, although its signature is valid."""
    path = world.trust / "timestamp.json"
    path.write_bytes(path.read_bytes().replace(b'"version":2', b'"version":2,"version":2'))
    with pytest.raises(MetadataError, match="stands twice"):
        world.client().refresh()


def _set(signed: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(signed, name, value)
