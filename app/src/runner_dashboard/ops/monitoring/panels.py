"""The Grafana dashboard: what the overview shows, over time, beside how the service does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner_dashboard.ops.monitoring.families import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner_dashboard.ops.monitoring.families import Family

_SOURCE = {"type": "prometheus", "uid": "${source}"}
_HERE = '{instance=~"$instance"}'
_WIDTH = 24
_HEIGHT = {"stat": 4, "timeseries": 8}
_GREEN, _AMBER, _RED = "green", "orange", "red"


@dataclass(frozen=True)
class Panel:
    """A panel of *kind* `stat` or `timeseries`, *width* of 24 wide; *lines* are expressions by their legend.

    With *limit*, a stat is red (or amber, where *amber*) from that value on.
    """

    title: str
    kind: str
    width: int
    lines: Mapping[str, str]
    unit: str = "short"
    limit: float | None = None
    amber: bool = False
    stacked: bool = False


def _gauge(name: str, match: str = "") -> str:
    # Dashboards that share a database all say the same of it.
    inner = f'{match}, instance=~"$instance"' if match else 'instance=~"$instance"'
    return f"max(runner_dashboard_{name}{{{inner}}})"


def _rate(name: str, by: str) -> str:
    return f"sum by ({by}) (rate(runner_dashboard_{name}_total{_HERE}[$__rate_interval]))"


_VERDICTS = f"runner_dashboard_node_verdicts{_HERE}"
_ENROLLED = _gauge("nodes", 'state="enrolled"')
_PASSED = _gauge("node_verdicts", 'verdict="passed"')
_AGE = f"time() - max(runner_dashboard_newest_report_timestamp_seconds{_HERE} > 0)"

PANELS = (
    Panel("Enrolled nodes", "stat", 4, {"enrolled": _ENROLLED}),
    Panel("Proven", "stat", 4, {"proven": f"{_PASSED} / {_ENROLLED}"}, unit="percentunit"),
    Panel("Failed", "stat", 4, {"failed": _gauge("node_verdicts", 'verdict="failed"')}, limit=1),
    Panel("Silent", "stat", 4, {"silent": _gauge("silent_nodes")}, limit=1, amber=True),
    Panel("Keys used twice", "stat", 4, {"suspicions": _gauge("suspicions")}, limit=1),
    Panel("Waiting for approval", "stat", 4, {"pending": _gauge("nodes", 'state="pending"')}, limit=1, amber=True),
    Panel("Nodes by verdict", "timeseries", 12, {"{{verdict}}": f"max by (verdict) ({_VERDICTS})"}, stacked=True),
    Panel("Reports by outcome", "timeseries", 12, {"{{outcome}}": _rate("reports", "outcome")}, "reqps", stacked=True),
    Panel("Since the newest report", "timeseries", 8, {"age": _AGE}, "s"),
    Panel("Reports in the database", "timeseries", 8, {"reports": _gauge("kept_reports")}),
    Panel("Nonces handed out", "timeseries", 8, {"nonces": _rate("nonces", "instance")}, "reqps"),
    Panel("Requests by status", "timeseries", 8, {"{{status}}": _rate("requests", "status")}, "reqps", stacked=True),
    Panel(
        "Mean time of a request, by route",
        "timeseries",
        8,
        {"{{route}}": f"{_rate('request_seconds', 'route')} / {_rate('requests', 'route')}"},
        "s",
    ),
    Panel("Refusals by code", "timeseries", 8, {"{{code}}": _rate("refusals", "code")}, "reqps", stacked=True),
    Panel("Database", "timeseries", 8, {"bytes": _gauge("database_bytes")}, "bytes"),
    Panel("Writes that wait", "timeseries", 8, {"{{instance}}": f"runner_dashboard_writes_waiting{_HERE}"}),
    Panel("Notifications by outcome", "timeseries", 12, {"{{outcome}}": _rate("notifications", "outcome")}),
    Panel("Open alarms", "timeseries", 12, {"alarms": _gauge("alarms")}),
    Panel("Compactions by outcome", "timeseries", 12, {"{{outcome}}": _rate("compactions", "outcome")}),
    Panel("Rows removed, by table", "timeseries", 12, {"{{table}}": _rate("compacted_rows", "table")}),
    Panel("Manifests fetched, by outcome", "timeseries", 12, {"{{outcome}}": _rate("manifest_fetches", "outcome")}),
    Panel(
        "Up for",
        "timeseries",
        12,
        {"{{instance}} {{version}}": (
            f"(time() - runner_dashboard_start_timestamp_seconds{_HERE})"
            f" * on (instance) group_left (version) runner_dashboard_info{_HERE}"
        )},
        "s",
    ),
)  # fmt: skip


def _panel(number: int, panel: Panel, place: dict[str, int], families: Mapping[str, Family]) -> dict[str, Any]:
    about = [families[series].about for line in panel.lines.values() for series in sorted(named(line))]
    steps: list[dict[str, Any]] = [{"color": _GREEN, "value": None}]
    if panel.limit is not None:
        steps.append({"color": _AMBER if panel.amber else _RED, "value": panel.limit})
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}, "min": 0}
    options: dict[str, Any] = {"colorMode": "background" if panel.limit is not None else "value", "graphMode": "area"}
    if panel.kind == "timeseries":
        mode = "normal" if panel.stacked else "none"
        defaults["custom"] = {"fillOpacity": 25 if panel.stacked else 0, "stacking": {"mode": mode, "group": "A"}}
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    return {
        "id": number,
        "title": panel.title,
        "description": " ".join(dict.fromkeys(about)),
        "type": panel.kind,
        "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": _SOURCE, "expr": expression, "legendFormat": legend}
            for index, (legend, expression) in enumerate(panel.lines.items())
        ],
    }


def _places() -> list[dict[str, int]]:
    """Return where panels are: from left to right, a new row where the next one has no room."""
    found, across, down, tallest = [], 0, 0, 0
    for panel in PANELS:
        height = _HEIGHT[panel.kind]
        if across + panel.width > _WIDTH:
            across, down, tallest = 0, down + tallest, 0
        found.append({"x": across, "y": down, "w": panel.width, "h": height})
        across, tallest = across + panel.width, max(tallest, height)
    return found


def render(families: Mapping[str, Family]) -> str:
    """Return the dashboard as JSON. Raises `KeyError` with a series that the application does not have."""
    panels = [
        _panel(number, panel, place, families)
        for number, (panel, place) in enumerate(zip(PANELS, _places(), strict=True), 1)
    ]
    variables = [
        {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "instance",
            "label": "Dashboard",
            "type": "query",
            "datasource": _SOURCE,
            "query": {"query": "label_values(runner_dashboard_info, instance)", "refId": "instance"},
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        },
    ]
    document = {
        "uid": "ec-runner-dashboard",
        "title": "Runners",
        "description": "What a fleet of runners proves. Written by python -m runner_dashboard.ops.monitoring.",
        "tags": ["ec-runner"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "browser",
        "templating": {"list": variables},
        "annotations": {"list": []},
        "panels": panels,
    }
    return json.dumps(document, indent=2) + "\n"
