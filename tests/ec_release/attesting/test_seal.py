"""Whose keys sign what people check, and how many of them."""

from __future__ import annotations

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Root

from ec_closure.dsse import SignatureError
from ec_closure.errors import BadInputError
from ec_release.attesting import seal
from ec_release.errors import MissingKeysError
from ec_release.trust.keys import KeyRing

DATA = b"0123  disk.img\n"


def root(*signers: CryptoSigner, threshold: int = 1) -> Root:
    """Return a root that lets *signers* sign targets."""
    made = Root()
    for signer in signers:
        made.add_key(signer.public_key, "targets")
    made.roles["targets"].threshold = threshold
    return made


def ring(*signers: CryptoSigner) -> KeyRing:
    """Return the keys that are at hand."""
    return KeyRing({signer.public_key.keyid: signer for signer in signers})


@pytest.fixture
def pair() -> tuple[CryptoSigner, CryptoSigner]:
    """Give two keys."""
    return CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()


def test_all_keys_at_hand_sign_in_the_order_of_the_root(pair: tuple[CryptoSigner, CryptoSigner]) -> None:
    """So that the same keys give the same bytes."""
    one, other = pair
    made = root(one, other, threshold=2)
    found = seal.of_root(made, ring(other, one))

    assert [signer.public_key.keyid for signer in found.signers] == made.roles["targets"].keyids
    assert found.threshold == 2


def test_too_few_keys_are_named(pair: tuple[CryptoSigner, CryptoSigner]) -> None:
    """Readers would not accept what they sign."""
    one, other = pair
    with pytest.raises(MissingKeysError, match="2 keys of the targets role"):
        seal.of_root(root(one, other, threshold=2), ring(one))


def test_keys_of_other_roles_do_not_sign(pair: tuple[CryptoSigner, CryptoSigner]) -> None:
    """Though they are at hand."""
    one, other = pair
    with pytest.raises(MissingKeysError):
        seal.of_root(root(one), ring(other))


def test_a_signature_names_its_key(pair: tuple[CryptoSigner, CryptoSigner]) -> None:
    """The same data give the same signature, on one line."""
    one, other = pair
    found = seal.of_root(root(one, other), ring(other))
    signature = found.sign(DATA)

    assert signature == found.sign(DATA)
    assert signature.count(b"\n") == 1
    assert seal.verify(signature, DATA, found.keys, what="x") == other.public_key


@pytest.mark.parametrize("signature", [b"", b"AAAA", b"A" * 88, b"\xff", b"AA AA"])
def test_what_is_no_signature_is_refused(pair: tuple[CryptoSigner, CryptoSigner], signature: bytes) -> None:
    """With an error of ours."""
    with pytest.raises((BadInputError, SignatureError)):
        seal.verify(signature, DATA, [pair[0].public_key], what="x")


def test_other_data_are_refused(pair: tuple[CryptoSigner, CryptoSigner]) -> None:
    """And so is a key that did not sign."""
    found = seal.of_root(root(pair[0]), ring(pair[0]))
    for data, keys in ((DATA + b"x", found.keys), (DATA, [pair[1].public_key])):
        with pytest.raises(SignatureError):
            seal.verify(found.sign(DATA), data, keys, what="x")
