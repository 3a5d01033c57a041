"""Alert rules and the Grafana dashboard: of metrics that the application has, and judged by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner_dashboard.ops.monitoring import alerts, families, panels
from runner_dashboard.ops.monitoring.__main__ import written
from runner_dashboard.ops.monitoring.alerts import Alert
from runner_dashboard.ops.monitoring.families import Family

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[3]
FILES = ROOT / "app" / "monitoring"
ALERTS = {alert.name: alert for group in alerts.GROUPS.values() for alert in group}
MINUTES = 1000

# A fleet and a dashboard that are well, minute by minute. Prometheus' test begins at 1970.
WELL: Mapping[str, str] = {
    'runner_dashboard_info{instance="a",job="d",version="1"}': "1x{minutes}",
    'runner_dashboard_start_timestamp_seconds{instance="a",job="d"}': "1x{minutes}",
    'runner_dashboard_nodes{instance="a",job="d",state="enrolled"}': "200x{minutes}",
    'runner_dashboard_nodes{instance="a",job="d",state="pending"}': "0x{minutes}",
    'runner_dashboard_node_verdicts{instance="a",job="d",verdict="passed"}': "200x{minutes}",
    'runner_dashboard_node_verdicts{instance="a",job="d",verdict="failed"}': "0x{minutes}",
    'runner_dashboard_node_verdicts{instance="a",job="d",verdict="undecided"}': "0x{minutes}",
    'runner_dashboard_silent_nodes{instance="a",job="d"}': "0x{minutes}",
    'runner_dashboard_newest_report_timestamp_seconds{instance="a",job="d"}': "0+60x{minutes}",
    'runner_dashboard_suspicions{instance="a",job="d"}': "0x{minutes}",
    'runner_dashboard_writes_waiting{instance="a",job="d"}': "3x{minutes}",
    'runner_dashboard_requests_total{instance="a",job="d",route="GET /",status="200"}': "0+60x{minutes}",
    'runner_dashboard_requests_total{instance="a",job="d",route="GET /",status="503"}': "0+1x{minutes}",
    'runner_dashboard_request_seconds_total{instance="a",job="d",route="GET /"}': "0+6x{minutes}",
    'runner_dashboard_reports_total{instance="a",job="d",outcome="fresh"}': "0+100x{minutes}",
    'runner_dashboard_reports_total{instance="a",job="d",outcome="late"}': "0+100x{minutes}",
    'runner_dashboard_reports_total{instance="a",job="d",outcome="replayed"}': "0+2x{minutes}",
}

# Of the fleet, whoever tells of it
ONCE: Mapping[str, None] = {"instance": None}

# What is otherwise, when each alert is there, with which labels, and what it says.
Case = tuple["Mapping[str, str]", str, "Mapping[str, str | None] | Mapping[str, None]", str]
CASES: Mapping[str, Case] = {
    "RunnerNodeFailed": (
        {'runner_dashboard_node_verdicts{instance="a",job="d",verdict="failed"}': "3x{minutes}"},
        "6m", ONCE, "3 nodes run what was not signed",
    ),
    "RunnerKeyUsedTwice": (
        {'runner_dashboard_suspicions{instance="a",job="d"}': "0 0 1x{minutes}"},
        "2m", ONCE, "1 nodes report with a key that seems to be used twice",
    ),
    "RunnerNodesUndecided": (
        {'runner_dashboard_node_verdicts{instance="a",job="d",verdict="undecided"}': "7x{minutes}"},
        "721m", ONCE, "7 nodes have proven nothing for half a day",
    ),
    "RunnerNodesSilent": (
        {'runner_dashboard_silent_nodes{instance="a",job="d"}': "2x{minutes}"},
        "16m", ONCE, "2 enrolled nodes have not reported for too long",
    ),
    "RunnerFleetSilent": (
        {'runner_dashboard_newest_report_timestamp_seconds{instance="a",job="d"}': "60x{minutes}"},
        "377m", ONCE, "no node has reported for 6h 16m 0s",
    ),
    "RunnerNodesWait": (
        {'runner_dashboard_nodes{instance="a",job="d",state="pending"}': "4x{minutes}"},
        "61m", ONCE, "4 keys wait for approval",
    ),
    "RunnerDashboardAbsent": (
        {'runner_dashboard_info{instance="a",job="d",version="1"}': "_x{minutes}"},
        "11m", {"instance": None, "job": None}, "no dashboard answers /metrics",
    ),
    "RunnerDashboardRestarts": (
        {'runner_dashboard_start_timestamp_seconds{instance="a",job="d"}': "1+1x{minutes}"},
        "4m", {}, "the dashboard started 4 times within an hour",
    ),
    "RunnerDashboardFails": (
        {'runner_dashboard_requests_total{instance="a",job="d",route="GET /",status="503"}': "0+6x{minutes}"},
        "11m", {}, "100m requests a second cannot be answered",
    ),
    "RunnerDashboardSlow": (
        {'runner_dashboard_request_seconds_total{instance="a",job="d",route="GET /"}': "0+180x{minutes}"},
        "16m", {"route": "GET /"}, "GET / takes more than two seconds",
    ),
    "RunnerDashboardWritesWait": (
        {'runner_dashboard_writes_waiting{instance="a",job="d"}': "501x{minutes}"},
        "6m", {}, "501 writes wait",
    ),
    "RunnerReportsRefused": (
        {'runner_dashboard_reports_total{instance="a",job="d",outcome="replayed"}': "0+30x{minutes}"},
        "31m", ONCE, "more than a tenth of the reports is refused",
    ),
}  # fmt: skip


@pytest.fixture(scope="session")
def promtool() -> str:
    """Return Prometheus' tool."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("there is no promtool on the PATH (Debian: prometheus)")
    return found


def minutes(text: str) -> int:
    """Return how many minutes a duration is that is written with m or h."""
    return int(text[:-1]) * {"m": 1, "h": 60}[text[-1]]


def tried(promtool: str, tmp_path: Path, series: Mapping[str, str], expected: list[dict[str, Any]]) -> str:
    """Have Prometheus evaluate the rules on *series*, and return what it finds otherwise than *expected*."""
    test = {
        "rule_files": [str(FILES / "alerts.yaml")],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": name, "values": values.format(minutes=MINUTES)} for name, values in series.items()
                ],
                "alert_rule_test": expected,
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(json.dumps(test))
    done = subprocess.run([promtool, "test", "rules", file], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_rules_are_rules(promtool: str) -> None:
    """Prometheus reads them, all of them."""
    done = subprocess.run(
        [promtool, "check", "rules", FILES / "alerts.yaml"], capture_output=True, text=True, check=False
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"SUCCESS: {len(ALERTS)} rules found" in done.stdout


def test_a_fleet_that_is_well_wakes_nobody(promtool: str, tmp_path: Path) -> None:
    """No alert is there, at the beginning or after hours."""
    quiet = [
        {"eval_time": moment, "alertname": name, "exp_alerts": []} for name in ALERTS for moment in ("1m", "30m", "13h")
    ]

    assert "" == tried(promtool, tmp_path, WELL, quiet)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_comes_when_it_should(promtool: str, tmp_path: Path, name: str) -> None:
    """Not before its time, then with its labels and one line that says what is wrong."""
    changed, moment, labels, summary = CASES[name]
    whole = {"instance": "a", "job": "d", "severity": ALERTS[name].severity, **labels}
    there = {
        "exp_labels": {key: value for key, value in whole.items() if value is not None},
        "exp_annotations": {"summary": summary, "action": ALERTS[name].action},
    }
    expected = [{"eval_time": moment, "alertname": name, "exp_alerts": [there]}]
    if minutes(ALERTS[name].lasting) > 1:
        # It is one minute late, so that it is pending two minutes earlier.
        expected.append({"eval_time": f"{minutes(moment) - 2}m", "alertname": name, "exp_alerts": []})

    assert "" == tried(promtool, tmp_path, {**WELL, **changed}, expected)


@pytest.mark.parametrize("name", [name for name, (_, _, labels, _) in CASES.items() if labels is ONCE])
def test_two_dashboards_tell_of_a_fleet_once(promtool: str, tmp_path: Path, name: str) -> None:
    """Behind one database both say the same: nobody is woken twice."""
    changed, moment, _, summary = CASES[name]
    first = {**WELL, **changed}
    both = first | {series.replace('instance="a"', 'instance="b"'): values for series, values in first.items()}
    there = {
        "exp_labels": {"job": "d", "severity": ALERTS[name].severity},
        "exp_annotations": {"summary": summary, "action": ALERTS[name].action},
    }

    expected = [{"eval_time": moment, "alertname": name, "exp_alerts": [there]}]

    assert "" == tried(promtool, tmp_path, both, expected)


def test_one_trouble_is_one_alert(promtool: str, tmp_path: Path) -> None:
    """A failing node does not set off what speaks of the service."""
    changed, moment, _, _ = CASES["RunnerNodeFailed"]
    quiet = [
        {"eval_time": moment, "alertname": name, "exp_alerts": []} for name in ALERTS if name != "RunnerNodeFailed"
    ]

    assert "" == tried(promtool, tmp_path, {**WELL, **changed}, quiet)


def test_a_wrong_expectation_is_noticed(promtool: str, tmp_path: Path) -> None:
    """These tests can fail."""
    changed, moment, _, _ = CASES["RunnerNodeFailed"]
    expected = [{"eval_time": moment, "alertname": "RunnerNodeFailed", "exp_alerts": []}]

    assert "RunnerNodeFailed" in tried(promtool, tmp_path, {**WELL, **changed}, expected)


def test_every_alert_is_tried() -> None:
    """With a case that sets it off, of series that the application has."""
    known = families.of_application()

    assert set(ALERTS) == set(CASES)
    assert {name.partition("{")[0] for name in WELL} <= set(known)
    assert all(changed.keys() <= WELL.keys() for changed, _, _, _ in CASES.values())


def test_alerts_name_metrics_that_the_application_has() -> None:
    """A metric that is renamed takes its alerts along, or this says so."""
    known = families.of_application()
    unknown = {
        alert.name: missing for alert in ALERTS.values() if (missing := families.named(alert.expression) - set(known))
    }

    assert {} == unknown


def test_every_alert_says_what_to_do() -> None:
    """In a sentence; and its one line has no end, since values follow it."""
    for alert in ALERTS.values():
        assert alert.action.endswith("."), alert.name
        assert not alert.summary.endswith("."), alert.name
        assert re.fullmatch(r"Runner[A-Za-z]+", alert.name)


def test_every_metric_is_on_the_dashboard() -> None:
    """A new one comes with a panel."""
    shown = {series for panel in panels.PANELS for line in panel.lines.values() for series in families.named(line)}

    assert set(families.of_application()) == shown


@pytest.mark.parametrize(("name", "text"), written().items(), ids=lambda value: value if len(value) < 20 else "")
def test_files_are_what_is_written(name: str, text: str) -> None:
    """`python -m runner_dashboard.ops.monitoring app/monitoring` has nothing to do."""
    assert text == (FILES / name).read_text()


def test_panels_do_not_overlap() -> None:
    """They fill rows of 24, each at its own place, and have numbers of their own."""
    document = json.loads((FILES / "grafana.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells

    assert len({panel["id"] for panel in document["panels"]}) == len(document["panels"])
    assert all(panel["description"] for panel in document["panels"])


def test_expressions_of_panels_are_promql(promtool: str, tmp_path: Path) -> None:
    """Prometheus reads each, with Grafana's variables in place."""
    rules = [
        {"record": f"panel_{number}", "expr": line.replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for number, line in enumerate(line for panel in panels.PANELS for line in panel.lines.values())
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))

    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr


def test_a_panel_of_a_metric_that_is_gone_is_not_written() -> None:
    """Nothing is drawn that would stay empty."""
    known = dict(families.of_application())
    del known["runner_dashboard_suspicions"]

    with pytest.raises(KeyError, match="runner_dashboard_suspicions"):
        panels.render(known)


def test_families_are_read_from_the_page() -> None:
    """Counters are called by their series, with a suffix."""
    page = (
        "# TYPE runner_dashboard_nodes gauge\n# HELP runner_dashboard_nodes Nodes by state.\n"
        "# TYPE runner_dashboard_nonces counter\n# HELP runner_dashboard_nonces Nonces.\n# EOF\n"
    )

    assert {
        "runner_dashboard_nodes": Family("runner_dashboard_nodes", "gauge", "Nodes by state."),
        "runner_dashboard_nonces_total": Family("runner_dashboard_nonces", "counter", "Nonces."),
    } == families.parse(page)


def test_text_in_rules_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes, colons and line ends in an expression or a sentence stay in it."""
    import yaml

    odd = Alert("RunnerOdd", 'x{y="a: b"}\n> 0', "1m", "info", 'says: "no"', "Look.\n- alert: Other")
    monkeypatch.setattr(alerts, "GROUPS", {"odd": (odd,)})

    (group,) = yaml.safe_load(alerts.render())["groups"]

    assert [
        {
            "alert": "RunnerOdd",
            "expr": 'x{y="a: b"}\n> 0',
            "for": "1m",
            "labels": {"severity": "info"},
            "annotations": {"summary": 'says: "no"', "action": "Look.\n- alert: Other"},
        }
    ] == group["rules"]
