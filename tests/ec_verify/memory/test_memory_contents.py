"""The file of remembered verdicts: any bytes that the node's key did not make are refused, in a typed way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ec_verify.memory import contents
from ec_verify.memory.contents import (
    Binding,
    Built,
    Clock,
    Memory,
    MemoryRefusedError,
    MemoryUnknownError,
    Read,
    check_other,
    decode,
    encode,
)

KEY = b"k" * 32
SRI = "sha256-" + "A" * 43 + "="
PATH = f"/nix/store/{'0' * 32}-thing"
MEMORY = Memory(
    counter=7,
    binding=Binding("/nix/store", 1, 0xEF53, "0" * 64, "0.1"),
    clock=Clock(10**18, 5, "boot"),
    reads=(Read(PATH, SRI, 120, b"a" * 32, False, b"f" * 32, 3, 1_700_000_000),),  # noqa: FBT003 - a tuple's field
    builds=(Built(PATH, SRI, f"{PATH}.drv", b"i" * 32, 1_700_000_000),),
)


def test_what_was_written_is_read() -> None:
    """Nothing is lost on the way."""
    assert MEMORY == decode(encode(MEMORY, KEY), KEY)


@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_byte_can_be_changed(position: int, change: int) -> None:
    """Be it in the head, the authentication or the body."""
    data = bytearray(encode(MEMORY, KEY))
    data[position % len(data)] ^= change

    with pytest.raises(MemoryRefusedError):
        decode(bytes(data), KEY)


@given(st.integers(0, 10**6))
def test_no_end_can_be_cut_off(length: int) -> None:
    """A crash of the disk is a refusal, too."""
    data = encode(MEMORY, KEY)

    with pytest.raises(MemoryRefusedError):
        decode(data[: length % len(data)], KEY)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    """Nothing but the typed error comes out of what strangers wrote."""
    with pytest.raises(MemoryRefusedError):
        decode(data, KEY)


@given(st.binary(max_size=200))
def test_any_body_is_refused_in_the_same_way(body: bytes) -> None:
    """Also under the right key: another version of ours may have written it."""
    data = contents._HEAD + contents._mac(KEY, body) + body

    with pytest.raises(MemoryUnknownError, match="in no format that this version knows"):
        decode(data, KEY)


def test_another_format_of_this_node_is_told_from_a_forged_one() -> None:
    """A version that is not known has a key of its own; neither is believed."""
    head = b"ec-verify memory v23\n"
    ours = head + contents._mac(b"key for memory of verdicts v23", b"body", head) + b"body"

    def key_for(purpose: str) -> bytes:
        return f"key for {purpose}".encode()

    with pytest.raises(MemoryUnknownError, match="in format 23"):
        check_other(ours, key_for)
    with pytest.raises(MemoryRefusedError, match="not authenticated"):
        check_other(ours + b"x", key_for)
    with pytest.raises(MemoryRefusedError, match="not in the format"):
        decode(ours, KEY)
    check_other(encode(MEMORY, KEY), key_for)


def test_another_nodes_key_is_none() -> None:
    """What was copied from another node says nothing about this one."""
    with pytest.raises(MemoryRefusedError, match="not authenticated"):
        decode(encode(MEMORY, b"x" * 32), KEY)


def test_what_is_too_large_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cap on size comes before anything else."""
    monkeypatch.setattr(contents, "MAX_BYTES", 100)

    with pytest.raises(MemoryRefusedError, match="larger than 100"):
        decode(encode(MEMORY, KEY), KEY)
