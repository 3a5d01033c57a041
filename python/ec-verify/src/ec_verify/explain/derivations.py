"""Two derivations, read from files or from the store, and why they differ."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from ec_closure.derivation import Derivation
from ec_closure.derivation_diff import DerivationDiff, compare
from ec_closure.errors import LimitError
from ec_verify.errors import ConfigError
from ec_verify.location import base_name

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.location import StoreLocation

_MAX_BYTES = 64 << 20
_MAX_FILES = 50_000


def compare_files(location: StoreLocation, files: tuple[Path, Path]) -> DerivationDiff:
    """Compare two `.drv` files. Inputs are looked for beside each file, then in the store; absent ones are named.

    Raises `ConfigError` when one of the two cannot be read, `BadInputError` when any is no derivation.
    """
    named = {str(file): file for file in files}
    for file in files:
        if not file.is_file():
            raise ConfigError("is no file", place=str(file), hint="name two .drv files, or store paths of derivations")
    beside = [file.parent for file in files]
    loaded: dict[str, Derivation | None] = {}

    def load(path: str) -> Derivation | None:
        if path not in loaded:
            if len(loaded) >= _MAX_FILES:
                raise LimitError(f"more than {_MAX_FILES} derivations", place=path)
            places = [named[path]] if path in named else [directory / base_name(path) for directory in beside]
            places += [location.physical(path)] if location.is_store_path(path) else []
            data = next((found for place in places if (found := _read(place)) is not None), None)
            loaded[path] = None if data is None else _parse(data, path)
        return loaded[path]

    return compare(str(files[0]), str(files[1]), load)


def _parse(data: bytes, path: str) -> Derivation:
    return Derivation.parse(data) if len(data) <= _MAX_BYTES else _refuse(path)


def _refuse(path: str) -> Derivation:
    raise LimitError(f"larger than {_MAX_BYTES} bytes", place=path)


def _read(file: Path) -> bytes | None:
    """Return the contents of a regular file, None where there is none."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as opened:
        return opened.read(_MAX_BYTES + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
