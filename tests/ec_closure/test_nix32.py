from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure import nix32

if TYPE_CHECKING:
    from tests.conftest import NixStore


@given(st.binary(max_size=70))
def test_what_was_encoded_decodes_to_the_same(data: bytes) -> None:
    """Encoding loses nothing, for any length."""
    text = nix32.encode(data)

    assert data == nix32.decode(text)
    assert nix32.encoded_length(len(data)) == len(text)


@given(st.text(nix32.ALPHABET, max_size=120))
def test_every_accepted_text_is_the_one_spelling(text: str) -> None:
    """Whatever decodes is exactly what its bytes encode to, so no two texts name one value."""
    try:
        data = nix32.decode(text)
    except nix32.Nix32Error:
        return

    assert text == nix32.encode(data)


@pytest.mark.parametrize("character", ["e", "o", "t", "u", "A", "=", " ", "é", "\n"])
def test_a_character_outside_the_alphabet_is_refused(character: str) -> None:
    """The letters that Nix leaves out, capitals and anything else are no digits."""
    with pytest.raises(nix32.Nix32Error, match="alphabet"):
        nix32.decode("0" * 51 + character)


def test_padding_bits_that_are_not_zero_are_refused() -> None:
    """52 characters hold 260 bits: a digest whose 4 extra bits are set would be a second spelling."""
    assert bytes(32) == nix32.decode("0" * 52)
    with pytest.raises(nix32.Nix32Error, match="padding"):
        nix32.decode("z" + "0" * 51)


@pytest.mark.parametrize("length", [1, 3, 6, 51, 54])
def test_a_length_that_no_bytes_have_is_refused(length: int) -> None:
    """A truncated or extended hash is not silently taken for another."""
    with pytest.raises(nix32.Nix32Error, match="whole number of bytes"):
        nix32.decode("0" * length)


@pytest.mark.nix
def test_spelling_equals_that_of_nix(nix_store: NixStore) -> None:
    """Nix converts our hexadecimal to our base-32, for every digest size."""
    for algorithm in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(algorithm, b"every channel").digest()

        assert nix_store.run("nix-hash", "--type", algorithm, "--to-base32", digest.hex()) == nix32.encode(digest)
