"""A file that an operator wrote: read whole, decoded strictly, and every mistake told with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from ec_closure.decoding import explain

if TYPE_CHECKING:
    from pathlib import Path

    from ec_closure.errors import EcError

Kind = TypeVar("Kind")


def read(path: Path, limit: int, error: type[EcError]) -> bytes:
    """Return the bytes of *path*. Raises *error* with what the system said, or above *limit* bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as trouble:
        raise error(
            f"cannot be read: {trouble.strerror}", place=str(path), hint="check the path, and who may read it"
        ) from trouble
    except ValueError as trouble:
        raise error(f"cannot be read: {trouble}", place=str(path)) from trouble
    if len(data) > limit:
        raise error(f"more than the {limit} bytes that are accepted", place=str(path), hint="is it that file?")
    return data


def decode(data: bytes, kind: type[Kind], *, what: str, error: type[EcError], hint: str) -> Kind:
    """Return the TOML document *data* as *kind*. Raises *error* with the place, which begins with *what*.

    What *kind* cannot say is not checked, nor is the size of *data*.
    """
    try:
        return msgspec.toml.decode(data, type=kind)
    except RecursionError:
        raise error("nested too deep", place=what) from None
    except (msgspec.DecodeError, ValueError) as mistake:
        message, place = explain(mistake, what)
        raise error(message, place=place, hint=hint) from mistake
