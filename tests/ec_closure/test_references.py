"""Hash parts in bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ec_closure import nix32
from ec_closure.nar.dump import dump
from ec_closure.references import ReferenceScanner
from ec_closure.store_db import StoreDatabase
from ec_closure.store_path import StorePath

if TYPE_CHECKING:
    from tests.conftest import NixStore

PARTS = ["0" * 32, "1" * 32, "0" * 31 + "1", "0123456789abcdfghijklmnpqrsvwxyz", "zyxwvsrqpnmlkjihgfdcba9876543210"]
characters = st.sampled_from("01z")
noise = st.binary(max_size=40) | st.text(characters, max_size=70).map(str.encode)
streams = st.lists(noise | st.sampled_from(PARTS).map(str.encode), max_size=8)


def naive(data: bytes, candidates: list[str]) -> set[str]:
    """Return what a scanner must find, in the plainest way."""
    return {candidate for candidate in candidates if candidate.encode() in data}


def scan(pieces: list[bytes], candidates: list[str]) -> frozenset[str]:
    """Feed a scanner piece by piece."""
    scanner = ReferenceScanner(candidates)
    for piece in pieces:
        scanner.update(memoryview(piece))
    return scanner.finish()


@given(streams, st.lists(st.sampled_from(PARTS), max_size=4), st.integers(1, 40))
@example([b"0" * 31, b"0"], PARTS, 1)
@example([b"0" * 32, b"1"], PARTS, 7)
def test_scanner_finds_what_is_there_and_nothing_else(stream: list[bytes], candidates: list[str], size: int) -> None:
    """However the stream is cut into pieces."""
    data = b"".join(stream)
    cut = [data[at : at + size] for at in range(0, len(data), size)]

    assert naive(data, candidates) == scan(stream, candidates) == scan(cut, candidates)


@pytest.mark.parametrize("before", [0, 1, 256 * 1024 - 16, 256 * 1024 - 31, 256 * 1024])
def test_hash_part_across_two_buffers_is_found(before: int) -> None:
    """What is scanned at once has a size, and a hash part may lie across its end."""
    data = b" " * before + PARTS[3].encode()

    assert {PARTS[3]} == scan([data[: before + 16], data[before + 16 :], b" " * 300_000], PARTS)


@pytest.mark.parametrize("candidates", [PARTS, [*PARTS, *(f"{number:032}" for number in range(2, 50))]])
def test_run_that_is_no_word_is_looked_through(candidates: list[str]) -> None:
    """A megabyte of characters of the alphabet, with few candidates and with many."""
    data = b"01z" * 100_000 + PARTS[3].encode() + b"y" * 100_000

    assert {PARTS[3]} == scan([data], candidates)


def test_characters_outside_the_alphabet_end_a_run() -> None:
    """Such as e, o, u and t, and capitals."""
    for stranger in "eoutA-/\0":
        assert not scan([("0" * 31 + stranger + "0" * 31).encode()], PARTS)


def test_alphabet_is_that_of_store_paths() -> None:
    """Every hash part is found, whatever its characters."""
    assert scan([nix32.ALPHABET.encode()], [nix32.ALPHABET])


@pytest.mark.nix
def test_scanner_and_nix_agree(nix_store: NixStore) -> None:
    """On a build that refers to an input, to itself, and mentions an input's hash alone; another it leaves out."""
    expression = """
      let make = name: script: more: derivation ({ inherit name; system = builtins.currentSystem;
            builder = "/bin/sh"; args = [ "-c" script ]; } // more);
          a = make "a" "echo > $out" {}; b = make "b" "echo > $out" {}; c = make "c" "echo > $out" {};
      in [ (make "x" "p=\\${b##*/}; echo $a $out \\${p%%-*} > $out" { inherit a b c; }) ]
    """
    (out,) = nix_store.build(expression)
    with StoreDatabase.open(nix_store.state_dir, store_dir=nix_store.store_dir) as database:
        rows = database.all_infos()
    parts = {StorePath.parse(path, nix_store.store_dir).hash_part: path for path in rows}
    scanner = ReferenceScanner(parts)
    dump(nix_store.root / "store" / out.rpartition("/")[2], scanner.update)

    assert set(rows[out].references) == {parts[part] for part in scanner.finish()}
    assert 3 == len(rows[out].references)
