"""Findings about references: what the manifest records, and what occurs in the bytes (EV218, EV219).

Nix looks for the paths that a build was given, and records what it finds. So a recorded reference occurs in the bytes,
and what occurs is recorded, if the build was given it: the output itself, and all that its recorded references lead to,
were. Of other paths that occur nobody knows whether they were given: that is told as information. Left out are texts
(`builtins.toFile`), whose references are declared; of sources and other fixed content Nix records none that it finds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.store_path import HASH_PART_LENGTH
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.manifest import Manifest, PathRecord
    from ec_closure.report import Finding
    from ec_verify.judge.case import Case


def judge_references(case: Case) -> Iterable[Finding]:
    """Judge the references of every path of the manifest whose bytes were searched."""
    manifest = case.manifest
    if manifest is None:
        return
    known = {hash_part(path): path for path in case.observation.paths}
    signed = {record.path: record for record in (*manifest.paths, *manifest.contents)}
    mentions = []
    for path, record in signed.items():
        seen = case.observation.paths.get(path)
        if seen is None or seen.occurring is None or (record.ca or "").startswith("text:"):
            continue
        recorded = manifest.references_of(record)
        parts = {hash_part(reference) for reference in recorded}
        if parts == seen.occurring:
            continue
        lost = [reference for reference in recorded if hash_part(reference) not in seen.occurring]
        if lost:
            more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
            yield case.finding("EV218", f"{base_name(path)} does not mention {lost[0]}{more}, to which it refers", path)
        found = sorted(known[part] for part in seen.occurring - parts if part in known)
        given = _given(manifest, signed, record) if found else set()
        certain = [reference for reference in found if reference in given]
        if certain:
            more = f" (and {len(certain) - 1} more)" if len(certain) > 1 else ""
            yield case.finding(
                "EV219", f"{base_name(path)} mentions {certain[0]}{more}, and is not recorded to refer to it", path
            )
        mentions += [(path, reference) for reference in found if reference not in given]
    if mentions:
        path, reference = min(mentions)
        more = f" (and {len(mentions) - 1} more)" if len(mentions) > 1 else ""
        message = f"{base_name(path)} mentions {reference}{more}, which its build need not have been given"
        yield case.finding("EV219", message, path, weight="info")


def hash_part(path: str) -> str:
    """Return the hash part of a store path."""
    return base_name(path)[:HASH_PART_LENGTH]


def _given(manifest: Manifest, signed: dict[str, PathRecord], record: PathRecord) -> set[str]:
    """Return what the build of *record* was certainly given, and itself; nothing for what was not built by Nix."""
    if record.ca is not None or record.origin == "copied":
        return set()
    found = {record.path}
    todo = [record.path]
    while todo:
        for reference in manifest.references_of(signed[todo.pop()]):
            if reference not in found:
                found.add(reference)
                todo.append(reference)
    return found
