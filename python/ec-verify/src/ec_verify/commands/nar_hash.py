"""`ec-verify nar-hash`: the NAR hash of any tree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure.nar.hash import hash_path


def nar_hash(
    path: Path,
    /,
    *,
    json: Annotated[bool, Parameter(help="Print hash in all spellings, and the NAR's size.", negative=())] = False,
) -> int:
    """Print the SHA-256 of the NAR of PATH, as `nix hash path` would.

    Parameters
    ----------
    path: Path
        A file, directory or symlink; need not be in a store.
    """
    seen = hash_path(path)
    if json:
        found = {
            "path": str(path),
            "sri": seen.hash.sri,
            "nix32": seen.hash.nix32,
            "base16": seen.hash.base16,
            "narSize": seen.size,
        }
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.write(f"{seen.hash.sri}\n")
    return 0
