"""`ec-verify evidence`: what a third party needs to repeat the last verdict, in one file."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from ec_verify.commands.options import Common
from ec_verify.errors import StateError
from ec_verify.report.deliver import LAST_EVIDENCE
from ec_verify.state import State, write_file
from ec_verify.text import printable


def last_evidence(state: State) -> bytes:
    """Return the bundle of the last run. Raises `StateError` before the first."""
    data = state.read(LAST_EVIDENCE)
    if data is None:
        raise StateError("no run has left evidence yet", place=str(state.path), hint="`ec-verify run`")
    return data


def evidence(file: Path, /, *, common: Common = Common()) -> int:
    """Write the evidence bundle of the last run to FILE.

    It holds the signed report, the manifest, the metadata that vouch for it, and all that was observed: whoever has the
    pinned root repeats the verdict from it with `ec-verify check-evidence`. See docs/evidence.md.

    Parameters
    ----------
    file: Path
        The file to write; it is replaced if it exists.
    """
    settings = common.settings()
    data = last_evidence(State(settings.config.state))
    write_file(file, data)
    if common.json:
        sys.stdout.write(msgspec.json.encode({"file": printable(str(file)), "bytes": len(data)}).decode() + "\n")
    else:
        sys.stdout.write(f"wrote {printable(str(file))}, {len(data)} bytes\n")
    return 0
