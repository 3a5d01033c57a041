"""`ec-verify nar-hash`: the NAR hash of any tree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_closure.nar.hash import hash_path
from ec_verify.text import printable


def nar_hash(
    path: str,
    /,
    *,
    json: Annotated[bool, Parameter(help="Print hash in all spellings, and the NAR's size.", negative=())] = False,
) -> int:
    """Print the SHA-256 of the NAR of PATH, as `nix hash path` would.

    Parameters
    ----------
    path: str
        A file, directory or symlink; need not be in a store.
    """
    if not path:
        raise UsageError("an empty path names nothing", hint="write . for this directory")
    seen = hash_path(Path(path))
    if json:
        found = {
            "path": printable(str(path)),
            "sri": seen.hash.sri,
            "nix32": seen.hash.nix32,
            "base16": seen.hash.base16,
            "narSize": seen.size,
        }
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.write(f"{seen.hash.sri}\n")
    return 0
