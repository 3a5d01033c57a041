"""What a client accepts from a release server, and what it refuses from whoever pretends to be one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Role, Root

from ec_closure.errors import EcError, TransportError, TrustError, UsageError
from ec_fetch.client import TrustClient
from ec_fetch.errors import (
    ExpiredMetadataError,
    FetchError,
    MetadataError,
    MixedMetadataError,
    NoTargetError,
    RefusedError,
    RolledBackError,
    TargetMismatchError,
    UnsignedMetadataError,
)
from ec_fetch.strict import LIMITS
from ec_fetch.targets import FIELD
from ec_release.trust import roles as publisher

if TYPE_CHECKING:
    from collections.abc import Callable

ONLINE = ["timestamp", "snapshot", "targets"]
RUNNER = "/nix/store/" + "0" * 32 + "-runner"


def place_of(error: pytest.ExceptionInfo[EcError]) -> str:
    """Return what the error is about, without the version in front."""
    return (error.value.place or "").lstrip("0123456789.")


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


def test_a_published_tree_works_the_same_over_http(world: Any, server: Any) -> None:
    """Files and a loopback server give the same answers."""
    base = server.url("/download/")
    client = world.client("http-state", metadata_base=f"{base}trust/", target_base=base)
    files = world.client()
    assert files.refresh() == client.refresh()
    assert files.download(files.find(RUNNER)) == client.download(client.find(RUNNER))


def test_the_age_of_metadata_is_what_the_timestamp_key_signed(world: Any) -> None:
    """The age counts from the signed time of issue, whenever the node fetched."""
    world.later(hours=30)
    state = world.client().refresh()
    assert state.age(world.time) == 30 * 3600
    assert (state.offline, state.expired) == (False, ())
    assert world.time == state.refreshed


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


def test_nodes_recover_from_a_fast_forward_attack(world: Any) -> None:
    """After a stolen timestamp key signed an absurd version, a new key makes nodes accept sane versions again."""
    before = world.keep()
    world.forge("timestamp", lambda signed: _set(signed, version=2**31))
    world.client().refresh()
    world.show(before)
    with pytest.raises(RolledBackError):
        world.client().refresh()
    new = CryptoSigner.generate_ed25519()
    (world.keys / "timestamp-1.pem").rename(world.keys / "stolen")
    (world.keys / "timestamp-2.pem").write_bytes(new.private_bytes)
    (world.keys / "timestamp-2.pem").chmod(0o600)

    def replace(root: Root) -> None:
        root.revoke_key(root.roles["timestamp"].keyids[0], "timestamp")
        root.add_key(new.public_key, "timestamp")

    world.rotate(replace)
    assert world.client().refresh().timestamp_version == 3


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


def test_one_key_under_two_identifiers_is_no_threshold_of_two(world: Any) -> None:
    """The library counts identifiers, which anybody can make up; we count keys."""
    key = CryptoSigner.generate_ed25519()
    twin = CryptoSigner(key._private_key, SSlibKey("0" * 64, "ed25519", "ed25519", key.public_key.keyval))
    root = world.newest("root").signed
    root.roles["root"] = Role([key.public_key.keyid, twin.public_key.keyid], 2)
    root.keys |= {key.public_key.keyid: key.public_key, twin.public_key.keyid: twin.public_key}
    metadata = Metadata(root)
    metadata.sign(key)
    metadata.sign(twin, append=True)
    root.verify_delegate("root", metadata.signed_bytes, metadata.signatures)  # The library is content.
    with pytest.raises(MetadataError, match="one key under two identifiers"):
        world.client(root=metadata.to_bytes())


def test_a_root_that_follows_is_followed(make_world: Callable[..., Any]) -> None:
    """A client that pins the first root gets to the third, and forgets neither."""
    world = make_world(root_keys=3, root_threshold=2)
    world.rotate(bool)
    world.rotate(bool)
    assert world.client().refresh().root_version == 3
    assert world.client().offline().root_version == 3


def test_a_new_root_needs_the_threshold_of_the_old_one(make_world: Callable[..., Any], stranger: CryptoSigner) -> None:
    """One of two root keys and any number of strangers cannot change who is trusted."""
    world = make_world(root_keys=3, root_threshold=2)
    root = world.newest("root").signed
    root.version += 1
    root.add_key(stranger.public_key, "root")
    metadata = Metadata(root)
    metadata.sign(world.signers("root")[0])
    metadata.sign(stranger, append=True)
    (world.trust / "2.root.json").write_bytes(metadata.to_bytes())
    with pytest.raises(UnsignedMetadataError) as caught:
        world.client().refresh()
    assert place_of(caught) == "root.json"


def test_a_new_root_needs_its_own_threshold_too(make_world: Callable[..., Any], stranger: CryptoSigner) -> None:
    """A root that its own keys did not sign would lock everybody out: it is refused."""
    world = make_world()
    root = world.newest("root").signed
    root.version += 1
    root.add_key(stranger.public_key, "root")
    root.roles["root"].threshold = 2
    metadata = Metadata(root)
    metadata.sign(world.signers("root")[0])
    (world.trust / "2.root.json").write_bytes(metadata.to_bytes())
    with pytest.raises(UnsignedMetadataError):
        world.client().refresh()


def test_roots_are_not_skipped(make_world: Callable[..., Any]) -> None:
    """The third root under the second's name is refused, although it is signed."""
    world = make_world()
    world.rotate(bool)
    world.rotate(bool)
    (world.trust / "2.root.json").write_bytes((world.trust / "3.root.json").read_bytes())
    with pytest.raises(MetadataError, match="version"):
        world.client().refresh()


def test_what_the_server_calls_its_first_root_does_not_matter(world: Any, tmp_path: Any) -> None:
    """A server that was replaced as a whole, roots included, convinces nobody: the pinned root decides."""
    (tmp_path / "impostor").mkdir()
    impostor = type(world)(tmp_path / "impostor")
    impostor.release(1, "runner")
    world.show(impostor.keep())
    with pytest.raises(UnsignedMetadataError):
        world.client().refresh()


def test_a_root_of_another_key_type_is_refused(world: Any) -> None:
    """Only Ed25519 has one spelling for each key, so only Ed25519 is accepted."""
    rsa = CryptoSigner.generate_ecdsa()
    root = world.newest("root").signed
    root.add_key(rsa.public_key, "targets")
    with pytest.raises(MetadataError, match="Ed25519"):
        world.client(root=Metadata(root).to_bytes())


@pytest.mark.parametrize("root", [b"", b"{}", b"not json"])
def test_a_pinned_root_that_is_none_is_refused_at_once(world: Any, root: bytes) -> None:
    """A broken pin is noticed before anything is asked."""
    with pytest.raises(MetadataError, match="pinned root"):
        world.client(root=root)


def test_a_pinned_root_must_be_a_root(world: Any) -> None:
    """Another file of the repository, pinned by mistake, is named for what it is."""
    with pytest.raises(MetadataError, match="timestamp metadata"):
        world.client(root=(world.trust / "timestamp.json").read_bytes())


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
