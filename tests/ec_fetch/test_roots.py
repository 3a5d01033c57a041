"""Roots: which is believed, what follows it, and who may sign it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Role, Root

from ec_fetch.errors import (
    MetadataError,
    RolledBackError,
    UnsignedMetadataError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_closure.errors import EcError


def place_of(error: pytest.ExceptionInfo[EcError]) -> str:
    """Return what the error is about, without the version in front."""
    return (error.value.place or "").lstrip("0123456789.")


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


def _set(signed: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(signed, name, value)
