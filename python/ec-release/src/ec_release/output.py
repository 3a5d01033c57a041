"""Results on standard output: lines for people, or one JSON document with `--json`."""

from __future__ import annotations

import sys
from typing import Any

import msgspec


def emit(result: dict[str, Any], *, as_json: bool) -> None:
    """Print *result*; nested values are spelt out line by line."""
    plain = msgspec.to_builtins(result, enc_hook=str)
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(plain), indent=2).decode() + "\n")
        return
    for key, value in plain.items():
        _line(key.replace("_", " "), value)


def _line(name: str, value: Any) -> None:
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if isinstance(value, dict):
        value = ", ".join(f"{key} {inner}" for key, inner in value.items())
    if isinstance(value, (list, tuple)):
        sys.stdout.write(f"{name}:{'' if value else ' none'}\n")
        for item in value:
            _line("  -", item)
        return
    sys.stdout.write(f"{name}{'' if name.endswith('-') else ':'} {value}\n")
