"""The fleet over time: numbers by day as lines, and drawings that say no more than the table beside them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.fleet.history import Line, arranged
from runner_dashboard.retention import daily
from runner_dashboard.retention.daily import DAY, Daily
from runner_dashboard.web import charts

SVG = "{http://www.w3.org/2000/svg}"


def one(day: int, nodes: int, *, tag: str = "v1", version: int = 1, verdict: str = "passed", **paths: int) -> Daily:
    """Return the numbers of one day."""
    return Daily(day * DAY, tag, version, verdict, nodes, paths)


def test_days_become_lines() -> None:
    """With zeros where nobody reported, the days in between included."""
    found = arranged(
        [one(1, 3, rebuilt=5, fixed=1, matches=2), one(1, 1, verdict="failed", corrupt=1), one(3, 4, unchecked=9)],
        5 * DAY,
    )

    assert found.days == [DAY, 2 * DAY, 3 * DAY, 4 * DAY]
    assert found.verdicts == [Line("passed", [3, 0, 4, 0]), Line("failed", [1, 0, 0, 0])]
    assert found.releases == [Line("v1", [4, 0, 4, 0])]
    assert found.paths == [
        Line("proven", [6, 0, 0, 0]), Line("as signed", [2, 0, 0, 0]), Line("broken", [1, 0, 0, 0]),
        Line("not looked at", [0, 0, 9, 0]),
    ]  # fmt: skip


def test_the_newest_releases_have_lines_of_their_own() -> None:
    """The others are one, and come first; a node without a trusted manifest runs none."""
    rows = [one(1, 1, tag=f"v{version}" if version else "", version=version) for version in range(9)]
    found = arranged(rows, 2 * DAY)

    assert [line.name for line in found.releases] == ["older", "v3", "v4", "v5", "v6", "v7", "v8"]
    assert found.releases[0].values == [3]
    assert [line.name for line in arranged(rows[:1], 2 * DAY).releases] == ["no trusted manifest"]


def test_nothing_is_drawn_of_nothing() -> None:
    """And nothing of today."""
    assert arranged([], DAY).days == []


@given(st.integers(0, 10**12))
def test_the_axis_reaches_what_is_drawn(value: int) -> None:
    """By less than three times, and its quarters are whole."""
    top = charts.ceiling(value)

    assert value <= top
    assert top % 4 == 0
    assert top < max(value * 3, 5)


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), min_size=1, max_size=5))
def test_columns_stand_on_each_other_inside_the_drawing(rows: list[list[int]]) -> None:
    """As high as their numbers; nothing sticks out."""
    lines = [Line(f"line {at}", row) for at, row in enumerate(rows)]
    drawn = charts.columns(lines, [f"c{at}" for at in range(len(rows))], ["a", "b", "c"], '<about> & "more"')
    drawing = ET.fromstring(str(drawn).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" '))  # noqa: S314 - ours
    boxes = [
        {name: float(box.get(name, "")) for name in ("x", "y", "width", "height")} for box in drawing.iter(f"{SVG}rect")
    ]

    assert len(boxes) == sum(value > 0 for row in rows for value in row)
    assert all(0 <= box["x"] and box["x"] + box["width"] <= charts.WIDTH for box in boxes)
    assert all(-0.01 <= box["y"] and box["y"] + box["height"] <= charts.HEIGHT for box in boxes)
    assert drawing.get("aria-label") == '<about> & "more"'


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (950, "950"), (1500, "1.5k"), (20_000_000, "20M")])
def test_numbers_fit_beside_the_axis(value: float, text: str) -> None:
    """Three digits and a letter."""
    assert charts.short(value) == text


def test_the_overview_draws_days_that_are_over(dashboard: Any, browser: Any) -> None:
    """With the numbers beside them; names of releases, which strangers wrote, are text."""
    assert "Days are drawn once they are over" not in browser.get("/").text
    machine = Machine("one", Release(1))
    dashboard.enrol(machine)
    assert dashboard.send(machine.sign(machine.passed(dashboard.clock.now))).status == 201
    assert "Days are drawn once they are over" in browser.get("/").text
    dashboard.clock.now += DAY
    daily.sum_up(dashboard.services.database, dashboard.clock.now)
    browser.sign_in(dashboard.admin)
    text = browser.get("/").text

    assert len(re.findall(r'<svg class="chart"', text)) == 3
    assert "boot-v1" in text
    assert dashboard.get("/api/v1/history").json["verdicts"] == [{"name": "passed", "values": [1]}]
    assert dashboard.get("/api/v1/history?days=0").status == 400
    assert "style=" not in text
