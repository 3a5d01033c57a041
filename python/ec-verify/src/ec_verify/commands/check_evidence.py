"""`ec-verify check-evidence`: repeat a verdict from its evidence bundle."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure import evidence
from ec_closure.errors import UsageError
from ec_closure.evidence import EvidenceCheck
from ec_fetch.errors import MetadataError
from ec_fetch.strict import check_root
from ec_verify.commands.options import parse_time
from ec_verify.config import read_file
from ec_verify.evidence.check import check
from ec_verify.text import printable

_MARKS = {"holds": "ok", "contradicted": "NO", "not checked": "-"}
_EXIT = {"passed": 0, "failed": 1, "undecided": 3}
_SHOWN = 40


def check_evidence(
    file: Path,
    /,
    *,
    trust_root: Annotated[Path, Parameter(help="The TUF root that you trust: root.json.")],
    node_key: Annotated[
        Path | None, Parameter(help="The node's public key (PEM), as `ec-verify key` prints it.")
    ] = None,
    time: Annotated[str | None, Parameter(help="Metadata must not have expired at this time [the report's].")] = None,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False,
) -> int:
    """Check an evidence bundle, offline and without Nix: everything is drawn again from it and from the pinned root.

    Exits 0 when all of it holds and the report passed; 1 when the report failed, or when the evidence contradicts it; 2
    for what is no bundle; 3 when the report was undecided, or cannot be judged at the asked time or by this version.

    Parameters
    ----------
    file: Path
        The bundle.
    """
    when = parse_time(time) if time is not None else None
    root = read_file(trust_root)
    try:
        check_root(root)
    except MetadataError as error:
        raise UsageError(f"is no TUF root: {error}", place=str(trust_root), hint=error.hint) from error
    result = check(
        read_file(file, evidence.MAX_BYTES),
        root,
        node_key=read_file(node_key) if node_key is not None else None,
        time=when,
        what=str(file),
    )
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(result), indent=2).decode() + "\n")
    else:
        sys.stdout.write("\n".join(_lines(result)) + "\n")
    if result.outcome != "verified":
        return {"contradicted": 1, "undecided": 3}[result.outcome]
    return _EXIT[result.verdict]


def _lines(result: EvidenceCheck) -> list[str]:
    heads = {
        "verified": f"VERIFIED: the run {result.verdict}",
        "contradicted": "CONTRADICTED: do not believe this report",
        "undecided": "UNDECIDED: this cannot be told here",
    }
    level = f"level {result.level_reached} reached" if result.level_reached else "no level reached"
    lines = [
        heads[result.outcome],
        f"  report   {result.verdict}, {level} (asked: {result.level_asked})",
        f"  node     {result.node} (key {result.node_key})",
        f"  system   {result.toplevel}",
        f"  release  {result.release or 'none: no trusted manifest'}",
        f"  time     {_time(result.reference_time)}; metadata judged as of {_time(result.judged_at)}",
        "checked again:",
    ]
    lines += [f"  {_MARKS[one.result]:2}  {one.step:25} {one.detail}".rstrip() for one in result.steps]
    lines += [f"  {line}" for line in result.findings[:_SHOWN]]
    if len(result.findings) > _SHOWN:
        lines.append(f"  … and {len(result.findings) - _SHOWN} more findings: --json lists them")
    lines += ["not shown by any evidence:", *(f"  {line}" for line in result.limits)]
    return [printable(line) for line in lines]


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M UTC}"
