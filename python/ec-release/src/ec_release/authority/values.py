"""What expressions of workflows are made of: values, those that cannot be told among them. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_ALTERNATIVES = 64
MARK = "${{"


@dataclass(frozen=True)
class Unknown:
    """What cannot be told, by the expression that it comes from."""

    text: str

    def __str__(self) -> str:
        """Return it as it would be written."""
        return f"{MARK} {self.text} }}}}"


Value: TypeAlias = Any
"""str, float, bool, None, list, dict (as in JSON), or `Unknown`."""
Alternatives: TypeAlias = tuple[Value, ...]


def limited(values: Iterable[Value], text: str) -> Alternatives:
    """Return *values* without repetition; as unknown when they are too many to go through."""
    found: list[Value] = []
    for value in values:
        if not any(same(value, other) for other in found):
            found.append(value)
        if len(found) > MAX_ALTERNATIVES:
            return (Unknown(text),)
    return tuple(found)


def same(one: Value, other: Value) -> bool:
    """Tell whether two values are one, in type as well."""
    return type(one) is type(other) and bool(one == other)


def text_of(value: Value) -> str:
    """Return a value as it stands in a text."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case str() | Unknown():
            return str(value)
    return json.dumps(value, default=str)


def truth(value: Value) -> bool:
    """Tell whether a value that is no `Unknown` counts as true."""
    return value not in (None, False, 0, "") and value == value  # noqa: PLR0124 - NaN


def is_unknown(value: Value) -> bool:
    """Tell whether a value cannot be told, or is a text of which a part cannot."""
    return isinstance(value, Unknown) or (isinstance(value, str) and MARK in value)


def member(value: Value, key: str, text: str) -> Value:
    """Return what a value holds at *key*."""
    if isinstance(value, dict):
        return next((inner for name, inner in value.items() if name.lower() == key), None)
    if isinstance(value, list) and key.isdigit():
        return value[int(key)] if int(key) < len(value) else None
    return Unknown(text) if is_unknown(value) else None


def _number(value: Value) -> float:
    match value:
        case None:
            return 0.0
        case bool() | int() | float():
            return float(value)
        case str():
            try:
                return float(value.strip() or "0")
            except ValueError:
                return float("nan")
    return float("nan")


def compare(sign: str, left: Value, right: Value, text: str) -> Value:
    """Return how a comparison turns out: texts without regard to case, other kinds as numbers, as GitHub does it."""
    if is_unknown(left) or is_unknown(right):
        return Unknown(text)
    one: Any
    other: Any
    if isinstance(left, str) and isinstance(right, str):
        one, other = left.lower(), right.lower()
    else:
        one, other = _number(left), _number(right)
    outcomes: dict[str, Callable[[], bool]] = {
        "==": lambda: one == other,
        "!=": lambda: one != other,
        "<": lambda: one < other,
        "<=": lambda: one <= other,
        ">": lambda: one > other,
        ">=": lambda: one >= other,
    }
    return outcomes[sign]()
