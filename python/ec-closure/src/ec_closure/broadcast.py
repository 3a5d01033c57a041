"""One broadcast of a node: what is published, and from where. Written in node.toml, and alone in a file of its own."""

from __future__ import annotations

from typing import Annotated

import msgspec

from ec_closure import toml_text
from ec_closure.decoding import explain
from ec_closure.errors import BadInputError, LimitError
from ec_closure.record import Line, Record

MAX_BYTES = 1 << 16

# It becomes the name of a file and of a unit's instance.
BroadcastName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$(?!\n)")]


class BroadcastError(BadInputError):
    """A broadcast is not described well."""

    code = "broadcast"


class Broadcast(Record, frozen=True, kw_only=True, rename=None):
    """One broadcast. *name* is unique on its node; *input* is the address that is read from."""

    name: BroadcastName
    input: Line


def check(broadcast: Broadcast, *, place: str) -> None:
    """Check what the types cannot say. Raises `BroadcastError` with the key below *place*."""
    if "://" not in broadcast.input:
        raise BroadcastError(
            "the input is no address", place=f"{place}.input", hint="write hdhomerun://10A1B2C3/4.1, for example"
        )


def encode(broadcast: Broadcast) -> bytes:
    """Return *broadcast* as the file that its unit is given."""
    return toml_text.render(msgspec.to_builtins(broadcast)).encode()


def decode(data: bytes, *, what: str = "broadcast") -> Broadcast:
    """Decode what `encode` returns. Raises `BroadcastError` with its place, `LimitError` above `MAX_BYTES`."""
    if len(data) > MAX_BYTES:
        raise LimitError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    try:
        broadcast = msgspec.toml.decode(data, type=Broadcast)
    except (msgspec.DecodeError, ValueError) as error:
        message, place = explain(error, what)
        raise BroadcastError(message, place=place) from error
    except RecursionError:
        raise BroadcastError("nested too deep", place=what) from None
    check(broadcast, place=what)
    return broadcast
