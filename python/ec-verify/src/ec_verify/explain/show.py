"""Printing explanations: for people in aligned lines, or as JSON. Everything that is shown is made printable here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec

from ec_verify.text import clip, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.derivation_diff import DerivationDiff
    from ec_closure.explanation import Explanation, FileDifference
    from ec_closure.findings import Kind

_WIDTH = 16
_SHOWN = 40
_VALUE = 300
_MANY = 12


def path(found: Explanation, *, as_json: bool) -> None:
    """Print why a path has its verdict: the verdict, what agrees and what does not, what to do next."""
    if as_json:
        _json(found)
        return
    _print([f"path: {found.path}", found.words[:1].upper() + found.words[1:], *_evidence(found)])


def kind(found: Kind, *, as_json: bool) -> None:
    """Print an entry of the catalogue."""
    if as_json:
        _json({"code": found.code, "title": found.title, "severity": found.severity, "hint": found.hint})
        return
    _print([f"{found.code}: {found.title}", f"  by default: {found.severity}", f"  {found.hint}"])


def derivations(found: DerivationDiff, *, as_json: bool) -> None:
    """Print why two derivations differ: root causes first, each with the way that leads to it."""
    causes = [
        {
            "left": printable(cause.left),
            "right": printable(cause.right),
            "chain": [printable(name) for name in cause.chain],
            "changes": [
                {"where": printable(one.where), "left": _value(one.left), "right": _value(one.right)}
                for one in cause.changes
            ],
        }
        for cause in found.causes
    ]
    if as_json:
        missing = [printable(one) for one in found.missing]
        _json({"causes": causes, "followed": found.followed, "missing": missing, "complete": found.complete})
        return
    if not found.causes:
        same = "the same derivation" if not found.followed else "no difference but in the hashes of inputs"
        lines = [same if not found.missing else "no difference in what is at hand"]
    else:
        lines = [f"{len(found.causes)} root causes, in {found.followed} pairs of derivations"]
    for cause in found.causes[:_SHOWN]:
        lines += [cause.left, cause.right]
        if cause.chain:
            lines.append(f"  needed by: {' <- '.join(reversed(cause.chain))}")
        for one in cause.changes[:_SHOWN]:
            lines += [f"  {one.where}", f"    - {_value(one.left)}", f"    + {_value(one.right)}"]
    if found.missing:
        lines.append(f"not at hand, so not followed: {len(found.missing)}, the first {found.missing[0]}")
    if not found.complete:
        lines.append("not all were followed: too many")
    _print(lines)


def _evidence(found: Explanation) -> Iterable[str]:
    yield from _hashes(found)
    for code, message in found.trust.items():
        yield f"trust: {code} {message}"
    yield from _facts(found)
    for difference in (found.difference, found.rebuilt_difference):
        if difference is not None:
            yield from _difference(difference)
    if found.chain:
        yield "inherits from:"
        yield from (f"  {'  ' * depth}{one}" for depth, one in enumerate(found.chain[:_MANY]))
    if found.dependents is not None:
        yield f"dependents: {found.dependents.direct} direct, {found.dependents.transitive} in all"
        yield from (f"  because of it: {one}" for one in found.dependents.affected)
    yield f"next: {found.next}"


def _hashes(found: Explanation) -> Iterable[str]:
    """Put what was signed, registered, seen and rebuilt below one another, marked by whether it is what was signed."""
    signed, registered, disk, rebuilt = found.signed, found.registered, found.on_disk, found.rebuilt
    reference = signed.nar_hash if signed is not None else None
    yield "hashes:"
    for name, value, detail in (
        ("signed", reference, f"release {signed.release}, {signed.origin}" if signed else "in no trusted manifest"),
        ("registered", registered and registered.nar_hash, "" if registered else "not in the database"),
        ("on disk", disk.nar_hash, disk.problem or f"{disk.nar_size} bytes"),
        (
            "rebuilt",
            rebuilt and rebuilt.nar_hash,
            (rebuilt.failure or rebuilt.unsound or f"round {rebuilt.round}") if rebuilt else "not rebuilt",
        ),
    ):
        mark = " " if value is None or reference is None else "=" if value == reference else "≠"
        yield f"  {name + ':':12} {mark} {value or '-':51} {detail}".rstrip()
    if found.source is not None:
        same = "=" if found.source.evaluated == found.source.signed else "≠"
        yield f"  source:      {same} {found.source.evaluated or '-'}; CI built {found.source.signed or '-'}"


def _facts(found: Explanation) -> Iterable[str]:
    signed, registered, disk = found.signed, found.registered, found.on_disk
    if signed is not None:
        yield from _section(
            "signed", {"deriver": (signed.deriver or "-",), "references": signed.references or ("none",)}
        )
    if registered is not None:
        yield from _section(
            "registered",
            {
                "deriver": (registered.deriver or "-",),
                "content address": (registered.content_address or "-",),
                "signatures": registered.signatures or ("none",),
                "references": registered.references or ("none",),
            },
        )
    yield from _section(
        "on disk",
        {
            "problem": (disk.problem or "-",),
            "deserved path": (disk.deserved_path or "-",),
            "metadata": disk.metadata or ("none",),
        },
    )
    if found.last_run is not None:
        yield from _section(
            "last run",
            {
                "verdict": (found.last_run.verdict,),
                "reason": (found.last_run.reason or "-",),
                "findings": found.last_run.findings or ("none",),
            },
        )


def _difference(found: FileDifference) -> Iterable[str]:
    title = f"difference, {found.left} to {found.right}"
    if found.unavailable is not None:
        yield f"{title}: not known: {found.unavailable}"
        return
    yield f"{title}: {found.count} entries ({found.source})"
    for one in found.entries[:_SHOWN]:
        at = f" from byte {one.offset}" if one.offset is not None else ""
        yield f"  {one.path}: {one.kind}{at}"
        if one.left:
            yield f"    {found.left + ':':9} {one.left}"
        if one.right:
            yield f"    {found.right + ':':9} {one.right}"
        yield from (f"    {line}" for line in one.lines)
    if found.count > min(_SHOWN, len(found.entries)):
        yield f"  … and {found.count - min(_SHOWN, len(found.entries))} more"
    if not found.complete:
        yield "  not all was compared: too large"
    if found.diffoscope is not None:
        yield f"  diffoscope's report: {found.diffoscope}"


def _section(title: str, values: dict[str, tuple[str, ...]]) -> Iterable[str]:
    yield f"{title}:"
    for name, lines in values.items():
        first, *rest = lines
        yield f"  {name + ':':{_WIDTH}} {first}"
        yield from (" " * (_WIDTH + 3) + line for line in rest)


def _value(value: bytes | None) -> str:
    return "-" if value is None else clip(printable(value.decode("utf-8", "backslashreplace")), _VALUE)


def _json(found: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")


def _print(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))
