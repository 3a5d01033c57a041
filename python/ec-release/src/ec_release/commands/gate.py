"""`ec-release gate`: the repository against the declaration of its release authority."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_closure.release_gate import Judgement


def gate(
    *,
    root: Path = Path(),
    json: Annotated[bool, Parameter(negative=())] = False,
    evidence: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Hold a repository to its release authority: docs/release-authority.toml.

    Reads workflows, composite actions, the scripts that they call, the stack of OpenTofu, the flake's sources and
    documents as text, and runs none of them. Tells who would publish what, what contradicts the declaration, and
    whether the current authority and each proposed one meet the six gates. A proposed authority that does not meet
    them is no failure.

    Exit codes: 0 the repository is as declared, 1 it is not, 2 the declaration is missing or malformed, 3 the files
    cannot be read.

    Parameters
    ----------
    root
        The top of the repository.
    json
        Print the result as JSON (docs/schemas/release-gate.v1.schema.json).
    evidence
        Print for every gate what it rests on, not only for those that are not met.
    """
    from ec_release.authority import facts, sources
    from ec_release.authority.judge import judge

    found = judge(facts.gather(sources.read(root)))
    if json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(found, evidence=evidence))
    return int(not found.passed)


def _lines(found: Judgement, *, evidence: bool) -> Iterator[str]:
    """Yield the result for people."""
    from ec_release.authority.findings import KINDS

    yield f"authority: {found.authority}, published as {found.repository}"
    yield ""
    yield "publications:"
    for one in found.publications:
        yield f"  {one.kind:8} {one.target}  ({one.tool}, {one.file}:{one.line}, in {one.workflow}: {one.job})"
    if not found.publications:
        yield "  none"
    yield ""
    yield from _gates(found, evidence=evidence)
    yield ""
    yield f"findings: {len(found.findings) or 'none'}"
    for fault in found.findings:
        yield f"  {fault.severity:4} {fault.code} {fault.file}:{fault.line}: {KINDS[fault.code].title}: {fault.message}"
        yield from (f"         called from {place}" for place in reversed(fault.via))
        if fault.severity == "fail":
            yield f"         {KINDS[fault.code].hint}"
    yield ""
    yield "PASSED: the repository is as declared" if found.passed else "FAILED: the repository is not as declared"


def _gates(found: Judgement, *, evidence: bool) -> Iterator[str]:
    names = [gate.gate for gate in found.authorities[0].gates]
    width = max(len(one.name) for one in found.authorities) + len(" (current)")
    wide = max(map(len, names))
    yield "gates:"
    for one in found.authorities:
        title = f"{one.name} (current)" if one.current else one.name
        for gate in one.gates:
            yield f"  {title:{width}}  {gate.gate:{wide}}  {'met' if gate.met else 'not met'}"
            for part in gate.evidence:
                if evidence or not part.met:
                    yield f"  {'':{width}}    {'yes' if part.met else 'no '} {part.says} ({part.file}:{part.line})"
            title = ""
