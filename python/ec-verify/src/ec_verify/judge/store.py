"""Findings about the store: bytes, metadata, database and entries (EV2xx)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ec_closure.policy import matches, subject
from ec_closure.report import MAX_LISTED, Listed
from ec_verify.judge.database import judge_database
from ec_verify.judge.paths import misnamed
from ec_verify.judge.references import judge_references
from ec_verify.location import base_name
from ec_verify.text import clip, printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ec_closure.manifest import Manifest, PathRecord
    from ec_closure.report import Finding
    from ec_closure.store_db import PathInfo
    from ec_verify.judge.case import Case, PathJudgement
    from ec_verify.scan.metadata import Anomaly, AnomalyKind
    from ec_verify.scan.oddity import Oddity
    from ec_verify.scan.path import PathObservation

_MAX_PATH = 1024
_ANOMALIES: dict[AnomalyKind, str] = {
    "mode": "EV203", "owner": "EV204", "mtime": "EV205", "setid": "EV206", "xattr": "EV207",
}  # fmt: skip


def judge_store(case: Case, paths: tuple[PathJudgement, ...]) -> tuple[list[Finding], Listed, Listed]:
    """Return the findings, the unlisted paths and the extra entries."""
    observation = case.observation
    findings = case.raise_problems(observation.problems)
    # Only a database that could not be read says nothing: other problems of the observation excuse no row.
    rows_known = all(problem.code != "EV211" for problem in observation.problems)
    for judgement in paths:
        findings += _signed_path(case, judgement, rows_known=rows_known)
    known = _known(case)
    unlisted = []
    listed = {judgement.record.path for judgement in paths}
    for path in sorted((observation.rows.keys() | known.keys()) - listed):
        seen = observation.paths.get(path)
        if path in known:
            findings += _known_path(case, *known[path], seen, rows_known=rows_known)
            continue
        findings += _registered_path(case, observation.rows[path], seen)
        if case.manifest is not None and not matches(base_name(path), case.policy.allowed_unlisted):
            unlisted.append(path)
    findings += [
        case.finding("EV208", f"{base_name(path)} is registered, but no trusted manifest lists it", path)
        for path in unlisted
    ]
    findings += [_oddity(case, oddity) for oddity in observation.oddities]
    if case.manifest is not None:
        known |= {record.path: (case.manifest, record) for record in case.manifest.paths}
    findings += judge_database(case, known)
    findings += judge_references(case)
    extra_findings, extra = _entries(case)
    return findings + extra_findings, _listed(unlisted), extra


def _known(case: Case) -> dict[str, tuple[Manifest, PathRecord]]:
    """Return what trusted manifests list beyond the running system: other generations, an image's other contents."""
    known = {
        record.path: (manifest, record)
        for manifest in case.trust.others
        for record in (*manifest.paths, *manifest.contents)
    }
    if case.manifest is not None:
        known |= {record.path: (case.manifest, record) for record in case.manifest.contents}
    return known


def _listed(paths: list[str]) -> Listed:
    return Listed(count=len(paths), paths=tuple(clip(printable(path), _MAX_PATH) for path in paths[:MAX_LISTED]))


def _signed_path(case: Case, judgement: PathJudgement, *, rows_known: bool) -> Iterable[Finding]:
    """Judge a path of the running system's manifest."""
    record = judgement.record
    seen = case.observation.paths.get(record.path)
    name = base_name(record.path)
    match judgement.verdict:
        case "missing":
            yield case.finding("EV202", f"{name} is not on the disk", record.path)
        case "unchecked":
            yield case.finding("EV213", f"{name} could not be read: {judgement.reason}", record.path)
        case "corrupt":
            reasons = (_oversized(seen, "signed"), judgement.reason)
            yield case.finding(
                "EV201", "; ".join(filter(None, (f"{name} is not what CI signed", *reasons))), record.path
            )
    if seen is not None:
        yield from _content_address(case, record.path, record.ca, seen)
        yield from _metadata(case, record.path, seen.anomalies)
    if rows_known and case.manifest is not None:
        yield from _row(case, case.manifest, record)


def _oversized(seen: PathObservation | None, word: str) -> str:
    """Say that reading stopped because there was more than was *word* ("signed"); empty when it did not."""
    return f"larger than {word}: {seen.detail}" if seen is not None and seen.problem == "oversized" else ""


def _content_address(case: Case, path: str, ca: str | None, seen: PathObservation) -> Iterable[Finding]:
    if ca is not None and seen.problem is None and seen.deserved != path:
        yield case.finding("EV210", f"{base_name(path)}: {misnamed(seen)}", path)


def _metadata(case: Case, path: str, anomalies: tuple[Anomaly, ...]) -> Iterable[Finding]:
    by_kind: dict[AnomalyKind, list[Anomaly]] = defaultdict(list)
    timeless = case.policy.metadata.times
    any_time = bool(timeless) and matches(subject(path, case.store_dir), timeless)
    for anomaly in anomalies:
        if any_time and anomaly.kind == "mtime":
            continue
        by_kind[anomaly.kind].append(anomaly)
    for kind, found in sorted(by_kind.items()):
        where = f"{base_name(path)}/{found[0].relative}".rstrip("/")
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        yield case.finding(_ANOMALIES[kind], f"{where}: {found[0].detail}{more}", path)


def _row(case: Case, manifest: Manifest, record: PathRecord) -> Iterable[Finding]:
    row = case.observation.rows.get(record.path)
    name = base_name(record.path)
    if row is None:
        yield case.finding("EV212", f"{name} is not registered in the database", record.path)
        return
    if row.nar_hash.sri != record.nar_hash or row.nar_size != record.nar_size:
        yield case.finding("EV212", f"the database has another hash or size for {name} than CI signed", record.path)
    expected = set(manifest.references_of(record))
    dropped, added = sorted(expected - set(row.references)), sorted(set(row.references) - expected)
    if dropped:
        yield case.finding("EV212", f"the database lost a reference of {name} to {dropped[0]}", record.path)
    if added:
        yield case.finding("EV212", f"the database gave {name} a reference to {added[0]}", record.path)


def _known_path(
    case: Case, manifest: Manifest, record: PathRecord, seen: PathObservation | None, *, rows_known: bool
) -> Iterable[Finding]:
    """Judge a path that a manifest lists beyond the running system. It may be collected, but not half of it."""
    name = base_name(record.path)
    registered = record.path in case.observation.rows
    if seen is None or seen.problem == "missing":
        if registered:
            yield case.finding("EV202", f"{name} (of another generation) is not on the disk", record.path)
        return
    if seen.problem in ("unreadable", "changed"):
        yield case.finding("EV213", f"{name} (of another generation) could not be read: {seen.detail}", record.path)
    elif seen.nar_hash != record.nar_hash:
        message = f"{name} (of another generation) is not what CI signed"
        yield case.finding("EV201", "; ".join(filter(None, (message, _oversized(seen, "signed")))), record.path)
    yield from _content_address(case, record.path, record.ca, seen)
    yield from _metadata(case, record.path, seen.anomalies)
    if rows_known:
        yield from _row(case, manifest, record)


def _registered_path(case: Case, row: PathInfo, seen: PathObservation | None) -> Iterable[Finding]:
    """Judge a path that only the database speaks for: does it at least speak the truth."""
    name = base_name(row.path)
    if seen is None:
        yield case.finding("EV213", f"{name} is registered, but was not looked at", row.path)
        return
    if seen.problem == "missing":
        yield case.finding("EV202", f"{name} is registered, but not on the disk", row.path)
        return
    if seen.problem in ("unreadable", "changed"):
        yield case.finding("EV213", f"{name} could not be read: {seen.detail}", row.path)
    elif seen.nar_hash != row.nar_hash.sri:
        message = f"the bytes of {name} are not those that the database registers"
        yield case.finding("EV211", "; ".join(filter(None, (message, _oversized(seen, "registered")))), row.path)
    yield from _content_address(case, row.path, row.ca, seen)
    yield from _metadata(case, row.path, seen.anomalies)


def _oddity(case: Case, oddity: Oddity) -> Finding:
    """Judge what is wrong beside the paths. Policy may expect an entry, but not what no store directory holds."""
    path = f"{case.store_dir}/{oddity.name}".rstrip("/")
    more = f" (and {oddity.count - 1} more)" if oddity.count > 1 else ""
    match oddity.kind:
        case "stranger":
            code = "EV209"
        case "content":
            code = "EV210"
        case kind:
            code = _ANOMALIES[kind]
    return case.finding(code, f"{oddity.name or 'the store directory'}: {oddity.detail}{more}", path)


def _entries(case: Case) -> tuple[list[Finding], Listed]:
    findings = []
    extra = []
    for entry in case.observation.entries:
        path = f"{case.store_dir}/{entry.name}"
        if entry.status == "in flight":
            findings.append(case.finding("EV214", f"{entry.name} looks like work of Nix under way", path))
        elif not matches(entry.name, case.policy.allowed_extra):
            extra.append(path)
    findings += [
        case.finding("EV209", f"{base_name(path)} lies in the store directory, but nobody registered it", path)
        for path in extra
    ]
    return findings, _listed(extra)
