"""Alert rules. Each has a severity: `critical` wakes somebody, `warning` waits for the morning, `info` for a look.

Several dashboards behind one database all tell of the same fleet: what is about the fleet is said once for them (`job`,
and `namespace` where there is one), what is about a service for each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Alert:
    """A rule: *expression* held *lasting*; *summary* is one line, *action* what to do."""

    name: str
    expression: str
    lasting: str
    severity: Literal["critical", "warning", "info"]
    summary: str
    action: str


_FLEET = "max by (namespace, job)"

GROUPS: dict[str, tuple[Alert, ...]] = {
    "runner-dashboard-fleet": (
        Alert(
            "RunnerNodeFailed",
            _FLEET + ' (runner_dashboard_node_verdicts{verdict="failed"}) > 0',
            "5m",
            "critical",
            "{{ $value }} nodes run what was not signed",
            "Open the page Nodes with the verdict failed; each finding has a hint, and docs/findings.md its meaning.",
        ),
        Alert(
            "RunnerKeyUsedTwice",
            _FLEET + " (runner_dashboard_suspicions) > 0",
            "0m",
            "critical",
            "{{ $value }} nodes report with a key that seems to be used twice",
            "Open the node: a machine was cloned, a snapshot restored, a key copied. Retire it if you cannot tell.",
        ),
        Alert(
            "RunnerNodesUndecided",
            _FLEET + ' (runner_dashboard_node_verdicts{verdict="undecided"}) > 0',
            "12h",
            "warning",
            "{{ $value }} nodes have proven nothing for half a day",
            "Open the page Nodes with the verdict undecided: no trusted manifest, or the level was not reached.",
        ),
        Alert(
            "RunnerNodesSilent",
            _FLEET + " (runner_dashboard_silent_nodes) > 0",
            "15m",
            "warning",
            "{{ $value }} enrolled nodes have not reported for too long",
            "Whoever stops a report stops an alarm: look at each. Retire those that are gone.",
        ),
        Alert(
            "RunnerFleetSilent",
            f"(time() - {_FLEET} (runner_dashboard_newest_report_timestamp_seconds > 0) > 21600)"
            f' and on (namespace, job) ({_FLEET} (runner_dashboard_nodes{{state="enrolled"}}) > 0)',
            "15m",
            "critical",
            "no node has reported for {{ $value | humanizeDuration }}",
            "One node may be off; all at once are a network, a certificate, or something in front of the dashboard.",
        ),
        Alert(
            "RunnerNodesWait",
            _FLEET + ' (runner_dashboard_nodes{state="pending"}) > 0',
            "1h",
            "info",
            "{{ $value }} keys wait for approval",
            "Open the page Enrolment, and compare each key with what the node's own console prints.",
        ),
    ),
    "runner-dashboard-service": (
        Alert(
            "RunnerDashboardAbsent",
            "absent(runner_dashboard_info)",
            "10m",
            "critical",
            "no dashboard answers /metrics",
            "Look at its log, at /readyz, and at the token with which Prometheus asks.",
        ),
        Alert(
            "RunnerDashboardRestarts",
            "changes(runner_dashboard_start_timestamp_seconds[1h]) > 3",
            "0m",
            "warning",
            "the dashboard started {{ $value }} times within an hour",
            "Look at what its log ends with before each start, and at its memory limit.",
        ),
        Alert(
            "RunnerDashboardFails",
            'sum by (namespace, job, instance) (rate(runner_dashboard_requests_total{status=~"5.."}[10m]))'
            " > 0.05 * sum by (namespace, job, instance) (rate(runner_dashboard_requests_total[10m]))",
            "10m",
            "critical",
            "{{ $value | humanize }} requests a second cannot be answered",
            "Look at /readyz and the log: most often the disk is full or slow.",
        ),
        Alert(
            "RunnerDashboardSlow",
            "sum by (namespace, job, instance, route) (rate(runner_dashboard_request_seconds_total[10m]))"
            " > 2 * sum by (namespace, job, instance, route) (rate(runner_dashboard_requests_total[10m]))",
            "15m",
            "warning",
            "{{ $labels.route }} takes more than two seconds",
            "Look at the disk's latency and at how large the database is.",
        ),
        Alert(
            "RunnerDashboardWritesWait",
            "runner_dashboard_writes_waiting > 500",
            "5m",
            "warning",
            "{{ $value }} writes wait",
            "Reports come faster than the disk flushes: look at its latency, and at who sends so much.",
        ),
        Alert(
            "RunnerReportsRefused",
            'sum by (namespace, job) (rate(runner_dashboard_reports_total{outcome!~"fresh|late|known"}[30m]))'
            " > 0.1 * sum by (namespace, job) (rate(runner_dashboard_reports_total[30m]))",
            "30m",
            "warning",
            "more than a tenth of the reports is refused",
            "The page Audit says why: unknown keys, replays, or envelopes that do not verify.",
        ),
    ),
}


def render() -> str:
    """Return the rules as YAML, as Prometheus reads files of them. Texts are spelled as in JSON, which YAML takes."""
    lines = ["# Written by `python -m runner_dashboard.ops.monitoring`.", "groups:"]
    for group, alerts in GROUPS.items():
        lines += [f"  - name: {group}", "    rules:"]
        for alert in alerts:
            lines += [
                f"      - alert: {alert.name}",
                f"        expr: {json.dumps(alert.expression)}",
                f"        for: {alert.lasting}",
                "        labels:",
                f"          severity: {alert.severity}",
                "        annotations:",
                f"          summary: {json.dumps(alert.summary)}",
                f"          action: {json.dumps(alert.action)}",
            ]
    return "\n".join(lines) + "\n"
