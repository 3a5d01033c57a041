"""Findings about the store database itself: what Nix never writes, forged signatures, invented origins.

None of it decides what a path is worth: its bytes do. But Nix believes these rows, and so do its own tools.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ec_closure import signing
from ec_closure.signing import Keyring
from ec_closure.store_db_audit import output_key
from ec_closure.store_path import StorePath, StorePathError
from ec_verify.location import base_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.findings import Severity
    from ec_closure.manifest import Manifest, PathRecord
    from ec_closure.report import Finding
    from ec_closure.store_db import PathInfo
    from ec_closure.store_db_audit import FlawKind
    from ec_verify.judge.case import Case

_NOBODY = (None, None)
# A table or index does nothing by itself, and the next Nix may bring it.
_WEIGHTS: dict[FlawKind, Severity] = {"stranger": "info", "stray": "warn"}


def judge_database(case: Case, known: dict[str, tuple[Manifest, PathRecord]]) -> Iterable[Finding]:
    """Judge the database; *known* are the paths that trusted manifests list, each with its manifest."""
    audit = case.observation.database
    for flaw in audit.flaws:
        message = f"{base_name(flaw.path)}: {flaw.message}" if flaw.path else flaw.message
        yield case.finding("EV215", message, flaw.path, weight=_WEIGHTS.get(flaw.kind))
    keys = Keyring.parse(case.policy.cache_keys)
    claims = _Claims()
    for path, row in case.observation.rows.items():
        manifest, record = known.get(path, _NOBODY)
        if row.signatures:
            yield from _signatures(case, row, keys, manifest, record)
        if record is None or not _plain(row, record):
            yield from _origin(case, row, record, claims)
    yield from claims.findings(case)
    for path, (_, record) in known.items() if audit.outputs else ():
        if record.deriver is None or record.output is None:
            continue
        given = audit.outputs.get(output_key(record.deriver, record.output))
        if given not in (None, path):
            message = f"the output {record.output} of {base_name(record.deriver)} is {given} to the database"
            yield case.finding("EV217", message, path)


def _plain(row: PathInfo, record: PathRecord) -> bool:
    """Tell whether a row says of its origin what the manifest says, or nothing: nearly all of 100,000 do."""
    return (
        (row.deriver is None or row.deriver == record.deriver)
        and (row.ca is None or row.ca == record.ca)
        and (not row.ultimate or record.origin == "built")
    )


def _agrees(manifest: Manifest, record: PathRecord, row: PathInfo) -> bool:
    """Tell whether a row says what CI signed. One that does not is EV212 already, and no signature can fit it."""
    same = (row.nar_hash.sri, row.nar_size) == (record.nar_hash, record.nar_size)
    return same and set(row.references) == set(manifest.references_of(record))


def _signatures(
    case: Case, row: PathInfo, keys: Keyring, manifest: Manifest | None, record: PathRecord | None
) -> Iterable[Finding]:
    name = base_name(row.path)
    malformed = [text for text in row.signatures[: signing.MAX_SIGNATURES] if not signing.is_well_formed(text)]
    if malformed:
        message = f"{name} has {len(malformed)} signatures that are none, the first {malformed[0][:80]!r}"
        yield case.finding("EV216", message, row.path, weight="warn")
    if not keys or (manifest is not None and record is not None and not _agrees(manifest, record, row)):
        return
    fingerprint = signing.fingerprint(row.path, row.nar_hash, row.nar_size, row.references, case.store_dir)
    if forged := sorted(set(signing.false_signatures(fingerprint, row.signatures, keys))):
        yield case.finding("EV216", f"{name} carries a signature of {forged[0]}, which that key never made", row.path)


@dataclass
class _Claims:
    """Claims that may be innocent: each kind is one finding that counts them."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, path: str) -> None:
        self.found.setdefault(what, []).append(path)

    def findings(self, case: Case) -> Iterable[Finding]:
        for what, paths in sorted(self.found.items()):
            first = min(paths)
            more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
            yield case.finding("EV217", f"{base_name(first)} {what}{more}", first, weight="info")


def _origin(case: Case, row: PathInfo, record: PathRecord | None, claims: _Claims) -> Iterable[Finding]:
    name = base_name(row.path)
    if row.deriver is not None and not _is_derivation(row.deriver, case.store_dir):
        yield case.finding("EV217", f"{name} was made by {row.deriver}, which is no derivation", row.path)
    if record is None:
        return
    if row.ultimate and record.origin == "copied":
        # Nix takes a source into the store, and builds none.
        yield case.finding("EV217", f"{name} is a source, and the database has it built here", row.path)
    elif row.ultimate and record.origin == "substituted":
        claims.add(f"came to CI from {record.cache}, and the database has it built here", row.path)
    if None not in (row.deriver, record.deriver) and row.deriver != record.deriver:
        # Two derivations may make one path, and no signature covers which of them did (pitfall P7).
        claims.add(f"has another deriver than in the manifest: {row.deriver}", row.path)
    if row.ca is None or row.ca == record.ca:
        return  # an image's database has no content addresses (pitfall P41)
    if record.ca is not None:
        yield case.finding("EV217", f"{name} is {record.ca} to CI, and {row.ca} to the database", row.path)
        return
    seen = case.observation.paths.get(row.path)
    if seen is not None and seen.problem is None and seen.deserved != row.path:
        # Nix asks for no signature on what is content-addressed.
        yield case.finding(
            "EV210", f"{name}: the database calls it {row.ca}, which its bytes and name do not bear out", row.path
        )


def _is_derivation(text: str, store_dir: str) -> bool:
    try:
        return StorePath.parse(text, store_dir).is_derivation
    except StorePathError:
        return False
