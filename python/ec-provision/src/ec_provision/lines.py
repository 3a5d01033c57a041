"""Lines of node.toml: where a key stands that a message names. Pure, and content with no answer."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ec_closure.errors import BadInputError

_MAX_LINES = 400
"""More are not searched: the file is read once for each of its lines."""
_PATH = re.compile(r"[A-Za-z_]+(\[\d+\])?(\.[A-Za-z_]+(\[\d+\])?)*")
_STEP = re.compile(r"[A-Za-z_]+|\d+")
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[A-Za-z0-9_-]+)`")


def located(error: BadInputError, data: bytes, what: str) -> BadInputError:
    """Return *error*, raised by `ec_closure.node_config.decode`, with the line in its place where that is clear."""
    path = (error.place or "").removeprefix(what).removeprefix(": ")
    if unknown := _UNKNOWN.match(error.message):
        path = f"{path}.{unknown['name']}" if path else unknown["name"]
    if _PATH.fullmatch(path) and (number := line_of(data, path)) is not None:
        error.place = f"{what}: line {number}: {path}"
    return error


def line_of(data: bytes, path: str) -> int | None:
    """Return the number of the line on which the value at *path* (`broadcast[1].name`) is complete.

    None where there is no such value, or no telling. For an item of a list that stands on a line of its own, it is
    that line.
    """
    steps = [int(step) if step.isdigit() else step for step in _STEP.findall(path)]
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError:
        return None
    if len(lines) > _MAX_LINES:
        return None
    for number in range(1, len(lines) + 1):
        try:
            value = _at(tomllib.loads("\n".join(lines[:number])), steps)
        except (ValueError, LookupError, TypeError, RecursionError):
            continue
        alone = [at for at, line in enumerate(lines[:number], 1) if isinstance(value, str) and value and value in line]
        return alone[0] if len(alone) == 1 else number
    return None


def _at(value: Any, steps: list[int | str]) -> Any:
    for step in steps:
        value = value[step]
    return value
