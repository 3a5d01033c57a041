"""Functions of expressions, as far as they can be told without running anything. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ec_release.authority.values import MAX_ALTERNATIVES, Unknown, Value, compare, text_of

if TYPE_CHECKING:
    from collections.abc import Callable


def _format(text: str, pattern: Value, *values: Value) -> Value:
    def put(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        index = int(match[1])
        return text_of(values[index]) if index < len(values) else text

    return re.sub(r"\{\{|\}\}|\{(\d{1,3})\}", put, text_of(pattern))


def _join(text: str, values: Value, separator: Value = ",") -> Value:
    if isinstance(values, list):
        return text_of(separator).join(map(text_of, values))
    return Unknown(text) if isinstance(values, dict) else text_of(values)


def _from_json(text: str, value: Value) -> Value:
    try:
        return json.loads(text_of(value), parse_int=float)
    except (ValueError, RecursionError):
        return Unknown(text)


def _contains(_text: str, where: Value, what: Value) -> Value:
    if isinstance(where, list):
        return any(compare("==", one, what, "") is True for one in where)
    return text_of(what).lower() in text_of(where).lower()


def _starts_with(_text: str, where: Value, what: Value) -> Value:
    return text_of(where).lower().startswith(text_of(what).lower())


def _ends_with(_text: str, where: Value, what: Value) -> Value:
    return text_of(where).lower().endswith(text_of(what).lower())


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Value]]] = {
    # By name: the fewest arguments, the most, and what comes of them. What a run decides (`success()`) is not here.
    "always": (0, 0, lambda _text: True),
    "contains": (2, 2, _contains),
    "endswith": (2, 2, _ends_with),
    "format": (1, MAX_ALTERNATIVES, _format),
    "fromjson": (1, 1, _from_json),
    "join": (1, 2, _join),
    "startswith": (2, 2, _starts_with),
    "tojson": (1, 1, lambda _text, value: json.dumps(value, default=str)),
}
