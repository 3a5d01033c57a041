"""The OpenMetrics textfile that node exporters pick up. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ec_closure.policy import LEVELS

if TYPE_CHECKING:
    from ec_closure.report import Report

_VERDICTS = ("passed", "failed", "undecided")


def render(report: Report) -> str:
    """Return *report* as OpenMetrics text. Times are seconds since 1970; levels count from 1, 0 is none."""
    lines: list[str] = []

    def gauge(name: str, text: str, samples: dict[str, float]) -> None:
        lines.extend((f"# TYPE ec_verify_{name} gauge", f"# HELP ec_verify_{name} {text}"))
        lines.extend(f"ec_verify_{name}{labels} {value}" for labels, value in samples.items())

    gauge("verdict", "1 for the verdict of the last run.", {
        f'{{verdict="{verdict}"}}': int(verdict == report.verdict) for verdict in _VERDICTS
    })  # fmt: skip
    level = LEVELS.index(report.level_reached) + 1 if report.level_reached else 0
    gauge("level_reached", "1 bytes, 2 source, 3 rebuild, 4 full.", {"": level})
    gauge("level_asked", "1 bytes, 2 source, 3 rebuild, 4 full.", {"": LEVELS.index(report.level_asked) + 1})
    gauge("paths", "Paths of the closure by verdict.", {
        f'{{verdict="{verdict}"}}': count for verdict, count in sorted(report.counts.items())
    })  # fmt: skip
    weights = {"fail": 0, "warn": 0, "info": 0}
    for finding in report.findings:
        weights[finding.severity] += 1
    for rest in report.left_out:
        weights[rest.severity] += rest.count
    causes = dict.fromkeys(weights, 0)
    for cause in report.causes:
        causes[cause.severity] += 1
    gauge("causes", "Causes of findings by severity.", {f'{{severity="{name}"}}': n for name, n in causes.items()})
    gauge("findings", "Findings by severity.", {f'{{severity="{name}"}}': count for name, count in weights.items()})
    gauge("unlisted_paths", "Registered paths in no trusted manifest.", {"": report.unlisted.count})
    gauge("extra_entries", "Entries of the store directory that nobody registered.", {"": report.extra.count})
    gauge("last_run_timestamp_seconds", "When the last run ended.", {"": report.finished})
    gauge("duration_seconds", "How long the last run took.", {"": report.finished - report.started})
    reading = report.reading
    gauge("paths_read", "Paths that the last run read.", {"": reading.read})
    gauge("paths_unchanged", "Paths that were not written to since they were read.", {"": reading.unchanged})
    gauge("oldest_read_seconds", "How long ago the path was read that was not read for longest.", {
        "": reading.oldest_age
    })  # fmt: skip
    share = reading.read / (reading.read + reading.unchanged) if reading.read else 0
    gauge("read_ratio", "Share of the paths that the last run read.", {"": round(share, 4)})
    gauge("rebuilt_before", "Outputs that an earlier run rebuilt, and that count.", {"": reading.rebuilt_before})
    gauge("oldest_rebuild_seconds", "How long ago the first of these was rebuilt.", {"": reading.oldest_rebuild_age})
    if report.freshness.lag is not None:
        gauge("release_lag", "Newer releases than the running one.", {"": report.freshness.lag})
    if report.freshness.metadata_age is not None:
        gauge("metadata_age_seconds", "Age of the verified metadata.", {"": report.freshness.metadata_age})
    lines.append("# EOF")
    return "\n".join(lines) + "\n"
