"""Changing the root: proposals, signatures on separate machines, and what may not be skipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata

from ec_closure.errors import UsageError
from ec_fetch.errors import UnsignedMetadataError
from ec_release.errors import CeremonyError, MissingKeysError, PublishedMetadataError
from ec_release.trust.ceremony import apply, propose, read_pending, write_pending
from ec_release.trust.keys import KeyRing, generate, load_private, load_ring
from ec_release.trust.proposal import add_signatures, find_key, replace_keys, summarise
from ec_release.trust.published import load, parse
from ec_release.trust.refresh import refresh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tuf.api.metadata import Root

    from ec_release.trust.proposal import Summary


@pytest.fixture
def apart(new_place: Any) -> Any:
    """Give a repository whose three root keys, of which two must sign, are not where it is published from."""
    new_place.initialise(keys=3, threshold=2)
    (new_place.path / "safe").mkdir()
    for path in new_place.keys.glob("OFFLINE-*.pem"):
        path.rename(new_place.path / "safe" / path.name)
    return new_place


def proposed(place: Any, edit: Callable[[Root], object] = bool) -> Summary:
    """Write a proposal to `pending`."""
    return propose(place.backend, place.signing, place.root, place.path / "pending", edit)


def signed_by(place: Any, *numbers: int) -> None:
    """Sign the proposal with root keys, one after the other, each on a machine of its own."""
    for number in numbers:
        pending = read_pending(place.path / "pending")
        ring = KeyRing()
        path = place.path / f"safe/OFFLINE-root-{number}.pem"
        ring.add(load_private(path), path)
        add_signatures(pending, parse(place.root, "root", "root").signed, ring)
        write_pending(place.path / "pending", pending)


def applied(place: Any) -> Any:
    """Apply the proposal."""
    return apply(place.backend, place.signing, place.root, read_pending(place.path / "pending"))


def new_key(place: Any, role: str) -> CryptoSigner:
    """Make a key for *role* beside the others."""
    return generate(place.keys / f"{role}-2.pem")


def replacing(role: Any, new: CryptoSigner) -> Callable[[Root], None]:
    """Return an edit that gives *role* the key *new* alone."""
    return lambda root: replace_keys(root, role, list(root.roles[role].keyids), [new.public_key], None)


def test_two_of_three_people_renew_the_root(apart: Any) -> None:
    """A proposal is carried to two keys and back; then nodes follow it."""
    summary = proposed(apart)
    assert (summary.missing_of_current_keys, summary.missing_of_proposed_keys, summary.complete) == (2, 2, False)
    signed_by(apart, 1, 3)
    assert applied(apart).versions.root == 2
    assert apart.reader().refresh().root_version == 2


@pytest.mark.parametrize("numbers", [(), (2,), (2, 2, 2)])
def test_too_few_people_change_nothing(apart: Any, numbers: tuple[int, ...]) -> None:
    """One person who signs three times is one person."""
    proposed(apart)
    signed_by(apart, *numbers)
    before = apart.files()
    with pytest.raises(CeremonyError, match="more signatures"):
        applied(apart)
    assert apart.files() == before


def test_a_stranger_does_not_count(apart: Any, tmp_path: Path) -> None:
    """A key that is in neither root cannot sign, and is told whose could."""
    proposed(apart)
    ring = KeyRing()
    ring.add(generate(tmp_path / "mine.pem"), tmp_path / "mine.pem")
    with pytest.raises(CeremonyError, match="none of these keys") as caught:
        add_signatures(read_pending(apart.path / "pending"), parse(apart.root, "root", "root").signed, ring)
    assert "keys that may sign" in (caught.value.hint or "")


def test_a_proposal_changed_after_signing_loses_its_signatures(apart: Any) -> None:
    """Who carries the file cannot change what was signed."""
    proposed(apart)
    signed_by(apart, 1, 2)
    pending = read_pending(apart.path / "pending")
    pending.signed.expires = pending.signed.expires.replace(year=2099)
    write_pending(apart.path / "pending", pending)
    with pytest.raises(CeremonyError, match="2 more signatures"):
        applied(apart)


def test_what_is_signed_is_shown(apart: Any) -> None:
    """Each change is a line that a person can read."""
    new = new_key(apart, "targets")
    summary = proposed(apart, replacing("targets", new))
    lines = "\n".join(summary.changes)
    assert f"targets: key {new.public_key.keyid[:16]} comes" in lines
    assert "goes" in lines
    assert "expires" in lines


def test_hidden_changes_are_shown(apart: Any) -> None:
    """A key whose bytes change under the same identifier is not overlooked."""
    current = parse(apart.root, "root", "root")
    pending: Metadata[Root] = Metadata.from_bytes(apart.root)
    pending.signed.version = 2
    keyid = pending.signed.roles["targets"].keyids[0]
    pending.signed.keys[keyid].keyval = {"public": "0" * 64}
    pending.signed.consistent_snapshot = False
    lines = "\n".join(summarise(pending, current).changes)
    assert f"key {keyid[:16]} changes its bytes" in lines
    assert "consistent_snapshot becomes False" in lines


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp"])
def test_a_replaced_key_signs_and_the_old_one_does_not(apart: Any, role: Any) -> None:
    """After a rotation what the old key signs is refused, and what the new one signs is accepted."""
    apart.publish(1)
    reader = apart.reader()
    reader.refresh()
    new = new_key(apart, role)
    proposed(apart, replacing(role, new))
    signed_by(apart, 1, 2)
    assert role in applied(apart).signed
    assert apart.reader().refresh().root_version == 2
    (apart.keys / f"{role}-1.pem").unlink()
    apart.publish(2)
    assert apart.reader().refresh().latest_version == 2
    assert apart.reader("fresh").refresh().latest_version == 2


def test_a_revoked_key_is_refused_by_readers_and_publishers(place: Any) -> None:
    """What a stolen key signs after its revocation convinces neither nodes nor CI."""
    stolen = load_private(place.keys / "timestamp-1.pem")
    new = new_key(place, "timestamp")
    proposed(place, replacing("timestamp", new))
    applied(place)
    path = place.tree / "download/trust/timestamp.json"
    metadata: Metadata[Any] = Metadata.from_bytes(path.read_bytes())
    metadata.signed.version += 1
    metadata.sign(stolen)
    path.write_bytes(metadata.to_bytes())
    with pytest.raises(UnsignedMetadataError):
        place.reader().refresh()
    with pytest.raises(PublishedMetadataError, match="current root"):
        place.publish(1)


def test_without_the_new_key_nothing_is_applied(apart: Any) -> None:
    """A root whose keys CI does not have would stop every node: it is refused before it is published."""
    proposed(apart, replacing("snapshot", CryptoSigner.generate_ed25519()))
    signed_by(apart, 1, 2)
    before = apart.files()
    with pytest.raises(MissingKeysError, match="snapshot"):
        applied(apart)
    assert apart.files() == before


def test_applying_twice_changes_nothing(apart: Any) -> None:
    """An interrupted pipeline may just run again."""
    proposed(apart)
    signed_by(apart, 1, 2)
    applied(apart)
    before = apart.files()
    applied(apart)
    assert apart.files() == before


def test_an_outdated_proposal_is_refused(apart: Any) -> None:
    """Two proposals were made from one root; the second one no longer follows."""
    proposed(apart)
    signed_by(apart, 1, 2)
    pending = read_pending(apart.path / "pending")
    (apart.path / "pending").unlink()
    new = new_key(apart, "targets")
    proposed(apart, replacing("targets", new))
    signed_by(apart, 2, 3)
    applied(apart)
    with pytest.raises(CeremonyError, match="does not follow"):
        apply(apart.backend, apart.signing, apart.root, pending)


def test_a_pending_proposal_is_not_overwritten(apart: Any) -> None:
    """Signatures that people gave are not lost by typing the same command again."""
    proposed(apart)
    signed_by(apart, 1)
    with pytest.raises(CeremonyError, match="pending already"):
        proposed(apart)


def test_root_keys_are_replaced_one_by_one(apart: Any, tmp_path: Path) -> None:
    """A holder brings a key of their own; old and new root both have their threshold."""
    mine = generate(tmp_path / "mine.pem")
    (apart.path / "safe/OFFLINE-root-9.pem").write_bytes(mine.private_bytes)
    (apart.path / "safe/OFFLINE-root-9.pem").chmod(0o600)
    first = load_private(apart.path / "safe/OFFLINE-root-1.pem").public_key.keyid

    def edit(root: Root) -> None:
        replace_keys(root, "root", [find_key(root, "root", first[:12])], [mine.public_key], None)

    summary = proposed(apart, edit)
    assert (summary.missing_of_current_keys, summary.missing_of_proposed_keys) == (2, 2)
    signed_by(apart, 1, 9)
    with pytest.raises(CeremonyError, match="1 more"):
        applied(apart)
    signed_by(apart, 2)
    applied(apart)
    assert apart.reader().refresh().root_version == 2


def test_one_key_is_not_added_twice(apart: Any) -> None:
    """A threshold of two with one key under two identifiers would be a threshold of one."""
    root = parse(apart.root, "root", "root").signed
    key = load_private(apart.path / "safe/OFFLINE-root-1.pem").public_key
    with pytest.raises(UsageError, match="there already"):
        replace_keys(root, "root", [], [key], None)
    key.keyid = "0" * 64
    with pytest.raises(UsageError, match="there already"):
        replace_keys(root, "root", [], [key], None)


@pytest.mark.parametrize("threshold", [0, 4])
def test_a_threshold_that_cannot_be_met_is_refused(apart: Any, threshold: int) -> None:
    """Nobody could ever change the root again."""
    with pytest.raises(UsageError, match="cannot be met"):
        proposed(apart, lambda root: replace_keys(root, "root", [], [], threshold))
    with pytest.raises(UsageError, match="cannot be met"):
        type(apart)(apart.path / "another").initialise(keys=3, threshold=threshold)


@pytest.mark.parametrize("prefix", ["", "0123456", "zzzzzzzzzzzz"])
def test_a_key_is_named_beyond_doubt(apart: Any, prefix: str) -> None:
    """Too short or unknown is no name."""
    root = parse(apart.root, "root", "root").signed
    with pytest.raises(UsageError, match=r"names (0|3) keys"):
        find_key(root, "root", prefix)


def test_ci_pins_the_root_and_follows_the_chain(apart: Any) -> None:
    """A server that shows a root of its own after ours is not followed."""
    new = CryptoSigner.generate_ed25519()
    root = parse(apart.root, "root", "root").signed
    root.version = 2
    root.add_key(new.public_key, "targets")
    forged = Metadata(root)
    forged.sign(new)
    (apart.tree / "download/trust/2.root.json").write_bytes(forged.to_bytes())
    with pytest.raises(PublishedMetadataError, match="does not follow"):
        refresh(apart.backend, apart.signing, apart.root)


def test_keys_are_loaded_from_several_directories(apart: Any) -> None:
    """CI's keys and a stick with root keys come together for a change at once."""
    ring = load_ring([apart.keys, apart.path / "safe"])
    assert len(ring.signers) == 6
    assert load(apart.backend, apart.root).root.signed.version == 1
