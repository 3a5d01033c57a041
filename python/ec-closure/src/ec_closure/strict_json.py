"""JSON from strangers, decoded strictly: size, depth and count capped, duplicate keys refused, UTF-8 only.

msgspec is fast and typed, but keeps the last of two equal keys. Signed documents must have one
reading, so duplicates are found here first. Large documents of ours use `canonical` instead, where
comparing with the one allowed spelling costs less than a second parse.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeVar

import msgspec

from ec_closure.decoding import excerpt, explain
from ec_closure.errors import BadInputError, LimitError

T = TypeVar("T")

MAX_TOKENS = 1_000_000
"""How many strings, lists and objects one document may hold: each costs some fifty bytes once it is parsed."""

# Possessive, and content with a string that never ends: one walk over the bytes, whatever they are.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
_MAX_KEY = 80


class JsonError(BadInputError):
    """The document is not the JSON that its format asks for."""

    code = "json"


def decode(data: bytes, kind: type[T], *, what: str, max_bytes: int, max_depth: int = 32) -> T:
    """Decode *data* into *kind*, a msgspec type.

    *what* names the document in messages. Raises `LimitError` above *max_bytes*, *max_depth* or
    `MAX_TOKENS`, and `JsonError` for anything malformed, duplicate keys included. Does not verify
    signatures: do that first, over the same bytes.
    """
    if len(data) > max_bytes:
        raise LimitError(f"{len(data)} bytes where at most {max_bytes} are accepted", place=what)
    try:
        # Decoded here and not by `json`, which would also take UTF-16, in which the walk below sees other tokens.
        text = data.decode()
        _check_extent(text, what, max_depth)
        json.loads(text, object_pairs_hook=_refuse_duplicates)
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        message, place = explain(error, what)
        raise JsonError(message, place=place) from error
    except _DuplicateKeyError as error:
        raise JsonError(f"the key {excerpt(error.key, _MAX_KEY)!r} stands twice in one object", place=what) from error
    except (msgspec.DecodeError, ValueError) as error:
        raise JsonError(f"not JSON: {excerpt(str(error))}", place=what) from error


def _check_extent(text: str, what: str, max_depth: int) -> None:
    depth = count = 0
    for token in _TOKENS.finditer(text):
        first = text[token.start()]
        if first in "]}":
            depth -= 1
            continue
        count += 1
        if count > MAX_TOKENS:
            raise LimitError(f"more than {MAX_TOKENS} strings, lists and objects", place=what)
        if first in "[{":
            depth += 1
            if depth > max_depth:
                raise LimitError(f"nested deeper than {max_depth}", place=f"{what}: character {token.start()}")


class _DuplicateKeyError(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> None:
    """Look at one object and let go of it: what is returned is not used."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _DuplicateKeyError(key)
        seen.add(key)
