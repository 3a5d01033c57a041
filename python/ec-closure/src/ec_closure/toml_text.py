"""TOML as we write it: one spelling for one value, read back as the same value by every reader of TOML 1.0."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def render(table: Mapping[str, Any]) -> str:
    """Return *table* as a TOML document.

    It holds texts, numbers, truth values, lists of these, tables of these, and None for what is left out. Raises
    `TypeError` for anything else. Not for texts with lone surrogates, which UTF-8 cannot hold.
    """
    return "".join(f"{line}\n" for line in _lines(table, ()))


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    below = {}
    for key, value in table.items():
        if isinstance(value, dict):
            below[key] = value
        elif value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, inner in below.items():
        yield ""
        yield f"[{'.'.join(map(_key, (*path, key)))}]"
        yield from _lines(inner, (*path, key))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            return _text(value)
        case list() | tuple():
            return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _text(text: str) -> str:
    # JSON's escapes are among TOML's; DEL is a control character to TOML alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
