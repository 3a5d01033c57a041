from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_closure.hashes import DIGEST_SIZES, Hash, HashError, compress

if TYPE_CHECKING:
    from tests.conftest import NixStore

algorithms = st.sampled_from(sorted(DIGEST_SIZES))
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(algorithms, st.data())
def test_every_spelling_reads_as_the_same_hash(algorithm: str, data: st.DataObject) -> None:
    """Base16, Nix base-32, base64 and SRI are one value (P2)."""
    size = DIGEST_SIZES[algorithm]
    expected = Hash(algorithm, data.draw(st.binary(min_size=size, max_size=size)))

    for text in (
        expected.sri,
        expected.nix32,
        f"{algorithm}:{expected.base16}",
        f"{algorithm}:{base64.b64encode(expected.digest).decode()}",
    ):
        assert expected == Hash.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        EMPTY,
        f"sha256-{EMPTY}",
        f"sha256:{EMPTY[:-1]}",
        f"sha256:{EMPTY}0",
        f"sha256:{EMPTY[:-1]}g",
        f"sha1:{EMPTY}",
        f"blake3:{EMPTY}",
        f"SHA256:{EMPTY}",
        "sha256:" + "e" * 52,
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "sha256-47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= ",
        f"sha256:{EMPTY}\n",
        f"sha256:  {EMPTY[2:]}",
        f"sha256:{EMPTY[:-2]}é0",
    ],
)
def test_what_is_no_hash_is_refused(text: str) -> None:
    """Missing or unknown algorithms, wrong lengths, foreign alphabets and stray bits all raise the typed error."""
    with pytest.raises(HashError):
        Hash.parse(text)


@given(st.text(max_size=120))
def test_any_text_is_a_hash_or_a_typed_error(text: str) -> None:
    """Strangers' text never raises anything but `HashError`."""
    try:
        Hash.parse(text)
        Hash.parse_digest("sha256", text)
    except HashError:
        pass


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_digest_of_the_wrong_length_is_no_hash(size: int) -> None:
    """A truncated digest cannot be constructed, not even by code."""
    with pytest.raises(HashError, match="32 bytes"):
        Hash("sha256", bytes(size))


def test_folding_is_the_xor_of_all_pieces() -> None:
    """32 bytes fold to 20: the last 12 fall on the first 12."""
    digest = bytes(range(32))

    assert bytes([i ^ (i + 20) for i in range(12)]) + bytes(range(12, 20)) == compress(digest, 20)


@pytest.mark.nix
def test_spellings_equal_those_of_nix(nix_store: NixStore) -> None:
    """Nix prints what we print for the same content, in all three spellings."""
    (nix_store.root / "file").write_bytes(b"every channel")
    for algorithm in DIGEST_SIZES:
        ours = Hash.of(algorithm, b"every channel")
        flat = ("nix-hash", "--flat", "--type", algorithm, "file")

        assert nix_store.run(*flat) == ours.base16
        assert nix_store.run(*flat, "--base32") == ours.nix32.partition(":")[2]
        assert nix_store.run("nix", "hash", "file", "--type", algorithm, "--sri", "file") == ours.sri
