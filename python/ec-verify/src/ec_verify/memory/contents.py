"""The file in which verdicts are remembered: types, spelling, authentication. Pure.

A line that names the format, 32 bytes of HMAC-SHA-256 over that line and the rest, then MessagePack. Every version
begins like this and has a key of its own, so that another version's file can be told from a forged one; neither is
believed. The key is derived from the node's private key (HKDF), so that who can write to the state directory, but has
not that key, can make the verifier read more and never less. Verified first, parsed after.
"""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING, Annotated

import msgspec

from ec_closure.record import Count, Sha256, Sri, Text
from ec_verify.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES = 64 << 20
MAX_READS = 200_000
MAX_BUILDS = 100_000
_PURPOSE = "memory of verdicts v"
PURPOSE = f"{_PURPOSE}1"
"""What the key is derived for: another format takes another key."""

_HEAD = b"ec-verify memory v1\n"
_ANY_HEAD = re.compile(rb"ec-verify memory v([1-9][0-9]{0,3})\n")
_MAC = 32
_Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class MemoryRefusedError(StateError):
    """What was remembered cannot be believed."""

    code = "verify.memory"


class MemoryUnknownError(StateError):
    """What was remembered is this node's, in a format that this version does not know."""

    code = "verify.memory-format"


class Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A part of the memory."""


class Read(Part, frozen=True):
    """A path whose bytes were read at *read_at* (seconds since 1970) and found good.

    *asked* is the digest of how its content address was to be computed; *fingerprint* and *entries* are those of
    `ec_verify.scan.fingerprint`.
    """

    path: Text
    nar_hash: Sri
    nar_size: Count
    asked: _Digest
    deserved: bool
    fingerprint: _Digest
    entries: Count
    read_at: Count


class Built(Part, frozen=True):
    """An output that came out as signed when *derivation* was built at *built_at*, from good inputs.

    *inputs* is the digest of what CI signed of everything that its build uses.
    """

    path: Text
    nar_hash: Sri
    derivation: Text
    inputs: _Digest
    built_at: Count


class Clock(Part, frozen=True):
    """The clocks when this was written, in ns: wall clock, time since boot, and which boot it was."""

    wall: int
    since_boot: int
    boot_id: str


class Binding(Part, frozen=True):
    """What the memory is about: under anything else it says nothing."""

    store: Text
    device: Count
    file_system: Count
    policy: Sha256
    verifier: Text


class Memory(Part, frozen=True):
    """The whole. *counter* is that of the run's report."""

    counter: Count
    binding: Binding
    clock: Clock
    reads: Annotated[tuple[Read, ...], msgspec.Meta(max_length=MAX_READS)] = ()
    builds: Annotated[tuple[Built, ...], msgspec.Meta(max_length=MAX_BUILDS)] = ()


def encode(memory: Memory, key: bytes) -> bytes:
    """Return the file."""
    body = msgspec.msgpack.encode(memory)
    return _HEAD + _mac(key, body) + body


def decode(data: bytes, key: bytes) -> Memory:
    """Return what was remembered.

    Raises `MemoryRefusedError` for anything that this node's key did not make, and `MemoryUnknownError` for what it
    made and another version of the verifier wrote without a new name for its format.
    """
    if len(data) > MAX_BYTES:
        raise MemoryRefusedError(f"larger than {MAX_BYTES} bytes")
    if not data.startswith(_HEAD):
        raise MemoryRefusedError("not in the format of this version")
    body = _authenticated(data, len(_HEAD), key)
    try:
        return msgspec.msgpack.decode(body, type=Memory)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MemoryUnknownError(f"in no format that this version knows: {error}") from error


def check_other(data: bytes, key_for: Callable[[str], bytes]) -> None:
    """Raise `MemoryUnknownError` if *data* is this node's file in the format of another version; *key_for* a purpose.

    What such a file says is not known, not even of which report it is. Raises `MemoryRefusedError` for a forged one.
    """
    head = _ANY_HEAD.match(data)
    if head is not None and head[0] != _HEAD and len(data) <= MAX_BYTES:
        _authenticated(data, head.end(), key_for(f"{_PURPOSE}{head[1].decode()}"))
        raise MemoryUnknownError(f"in format {head[1].decode()}")


def _authenticated(data: bytes, start: int, key: bytes) -> bytes:
    """Return the body behind the head that ends at *start*."""
    mac, body = data[start : start + _MAC], data[start + _MAC :]
    if not hmac.compare_digest(mac, _mac(key, body, data[:start])):
        raise MemoryRefusedError("not authenticated by this node's key")
    return body


def _mac(key: bytes, body: bytes, head: bytes = _HEAD) -> bytes:
    return hmac.digest(key, head + body, "sha256")
