"""From a decoded report to the rows that are asked for later. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import zstandard

if TYPE_CHECKING:
    from ec_closure.report import Report

_LEVEL = 3
_MAX_WINDOW = 1 << 27


@dataclass(frozen=True)
class Prepared:
    """All that is kept of one report, made before anybody waits for the thread that writes.

    *summary* is what the node's row repeats; *size* is that of the *envelope* before it was compressed.
    """

    report: dict[str, Any]
    summary: dict[str, Any]
    findings: list[dict[str, Any]]
    differing: list[dict[str, Any]]
    envelope: bytes
    size: int


def prepared(report: Report, envelope: bytes) -> Prepared:
    """Return the rows of *report*, which came in *envelope*."""
    row = report_row(report)
    return Prepared(
        report=row,
        summary={
            "counter": report.counter,
            "claimed_name": report.node,
            "verdict": report.verdict,
            "level": report.level_reached or "",
            **{name: row[name] for name in ("tag", "version", "toplevel", "fails", "warns")},
        },
        findings=finding_rows(report),
        differing=differing_rows(report),
        envelope=packed(envelope),
        size=len(envelope),
    )


def report_row(report: Report) -> dict[str, Any]:
    """Return the columns of `reports` that the report itself says."""
    weights = weighed(report)
    manifest = report.manifest
    return {
        "boot_id": report.boot_id or "",
        "counter": report.counter,
        "nonce": report.nonce,
        "claimed_name": report.node,
        "started": report.started,
        "finished": report.finished,
        "verdict": report.verdict,
        "level_asked": report.level_asked,
        "level_reached": report.level_reached or "",
        "toplevel": report.toplevel,
        "manifest_digest": manifest.digest if manifest else "",
        "tag": manifest.tag if manifest else "",
        "version": manifest.version if manifest else 0,
        "lag": report.freshness.lag,
        "observed_digest": report.observed_digest or "",
        "policy_digest": report.policy_digest,
        "config_digest": report.config_digest,
        "node_data_digest": report.node_data_digest or "",
        "verifier": report.verifier.version,
        "verdicts": report.verdicts,
        "counts": _json(report.counts),
        "coverage": _json(report.coverage),
        "unlisted": report.unlisted.count,
        "extra": report.extra.count,
        "fails": weights["fail"],
        "warns": weights["warn"],
        "infos": weights["info"],
    }


def weighed(report: Report) -> Counter[str]:
    """Return how many findings there are of each severity, those included that are not listed."""
    weights = Counter({"fail": 0, "warn": 0, "info": 0})
    weights.update(finding.severity for finding in report.findings)
    for rest in report.left_out:
        weights[rest.severity] += rest.count
    return weights


def finding_rows(report: Report) -> list[dict[str, Any]]:
    """Return the rows of `findings`, without the report's number."""
    return [
        {
            "position": position,
            "code": finding.code,
            "severity": finding.severity,
            "path": finding.path,
            "message": finding.message,
            "hint": finding.hint,
        }
        for position, finding in enumerate(report.findings)
    ]


def differing_rows(report: Report) -> list[dict[str, Any]]:
    """Return the rows of `differing`, without the report's number."""
    seen = [("disk", one) for one in report.differing] + [("rebuilt", one) for one in report.rebuilt_differing]
    return [
        {"position": position, "kind": kind, "path": one.path, "nar_hash": one.nar_hash}
        for position, (kind, one) in enumerate(seen)
    ]


def packed(envelope: bytes) -> bytes:
    """Return *envelope* compressed, as it is kept."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(envelope)


def unpacked(kept: bytes, size: int) -> bytes:
    """Return the envelope of *size* bytes that `packed` made *kept* of."""
    return zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompress(kept, max_output_size=size)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
