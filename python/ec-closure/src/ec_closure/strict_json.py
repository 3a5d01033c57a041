"""JSON from strangers, decoded strictly: size and depth capped, duplicate keys refused.

msgspec is fast and typed, but keeps the last of two equal keys. Signed documents must have one
reading, so duplicates are found here first. Large documents of ours use `canonical` instead, where
comparing with the one allowed spelling costs less than a second parse.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from ec_closure.errors import BadInputError, LimitError

T = TypeVar("T")

_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


class JsonError(BadInputError):
    """The document is not the JSON that its format asks for."""

    code = "json"


def decode(data: bytes, kind: type[T], *, what: str, max_bytes: int, max_depth: int = 32) -> T:
    """Decode *data* into *kind*, a msgspec type.

    *what* names the document in messages. Raises `LimitError` above *max_bytes* or *max_depth*
    and `JsonError` for anything malformed, duplicate keys included. Does not verify signatures: do
    that first, over the same bytes.
    """
    if len(data) > max_bytes:
        raise LimitError(f"{len(data)} bytes where at most {max_bytes} are accepted", place=what)
    _check_depth(data, what, max_depth)
    try:
        json.loads(data, object_pairs_hook=_refuse_duplicates)
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        raise JsonError(str(error), place=what) from error
    except _DuplicateKeyError as error:
        raise JsonError(f"the key {error.key!r} stands twice in one object", place=what) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise JsonError(f"not JSON: {error}", place=what) from error


def _check_depth(data: bytes, what: str, max_depth: int) -> None:
    depth = 0
    for token in _TOKENS.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > max_depth:
                raise LimitError(f"nested deeper than {max_depth}", place=f"{what}: byte {token.start()}")
        elif first in b"]}":
            depth -= 1


class _DuplicateKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return found
