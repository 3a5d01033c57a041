"""Results on standard output: lines for people, or one JSON document with `--json`."""

from __future__ import annotations

import sys
from typing import Any

import msgspec


def emit(result: dict[str, Any], *, as_json: bool) -> None:
    """Print *result*: JSON, or one line a value with what belongs to it indented below."""
    plain = msgspec.to_builtins(result, enc_hook=str)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n")
        return
    for key, value in plain.items():
        _block(str(key), value, "")


def _block(name: str, value: Any, indent: str) -> None:
    """Print one named value. Results nest two deep at most, as our commands make them."""
    title = name.replace("_", " ")
    if isinstance(value, dict) and any(isinstance(inner, (dict, list, tuple)) for inner in value.values()):
        sys.stdout.write(f"{indent}{title}:\n")
        for key, inner in value.items():
            _block(str(key), inner, indent + "  ")
    elif isinstance(value, (list, tuple)):
        sys.stdout.write(f"{indent}{title}:{'' if value else ' none'}\n")
        for item in value:
            sys.stdout.write(f"{indent}  - {_inline(item)}\n")
    else:
        sys.stdout.write(f"{indent}{title}: {_inline(value)}\n")


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {inner}" for key, inner in value.items())
    return str(value)
