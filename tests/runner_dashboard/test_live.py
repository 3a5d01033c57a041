"""The stream of changes: what is told, to whom, and from where on."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from runner_dashboard.events.bus import Bus
from runner_dashboard.events.event import Happening
from runner_dashboard.events.stream import MOST_STREAMS, Pace, stream
from runner_dashboard.web.pages.live import live

SLOW = Pace(gathered=0.01, quiet=30, lasting=60)


def told(response: Any) -> dict[str, str]:
    """Read one message of a stream, as its fields."""
    fields: dict[str, str] = {}
    while line := response.readline().decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


async def some(bus: Bus, count: int, pace: Pace = SLOW, last: int | None = None) -> list[str]:
    """Return the first *count* messages of a stream."""
    found = []
    async for part in stream(bus, last, pace):
        found.append(part.decode())
        if len(found) == count:
            break
    return found


def test_a_report_is_told_as_it_arrives(dashboard: Any, machine: Any) -> None:
    """With what kind of change it is and on which node, and nothing else."""
    dashboard.enrol(machine)
    with dashboard.stream() as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        hello = told(response)
        assert dashboard.send(machine.sign(machine.passed(dashboard.clock.now))).status == 201
        change = told(response)

    assert (hello["event"], change["event"]) == ("hello", "change")
    assert int(change["id"]) > int(hello["id"])
    said = json.loads(change["data"])
    assert said.keys() == {"kinds", "nodes"}
    assert "report" in said["kinds"]
    assert len(said["nodes"]) == 1


def test_who_comes_back_is_told_what_was_missed(dashboard: Any, machine: Any) -> None:
    """From the number that the browser saw last."""
    with dashboard.stream() as response:
        seen = told(response)["id"]
    dashboard.enrol(machine)
    with dashboard.stream(last=seen) as response:
        told(response)
        change = told(response)

    assert int(change["id"]) > int(seen)
    assert "node" in json.loads(change["data"])["kinds"]


@pytest.mark.parametrize("last", ["x", "-1", "9" * 30, "²", ""])
def test_a_number_that_is_none_is_passed_over(dashboard: Any, last: str) -> None:
    """The stream begins with what comes next."""
    with dashboard.stream(last=last) as response:
        assert told(response)["event"] == "hello"


def test_what_happens_together_is_told_once() -> None:
    """A fleet that reports all at once does not make every browser load the page for each node."""
    bus = Bus(0)

    async def run() -> str:
        parts = stream(bus, None, Pace(gathered=0.2, quiet=30, lasting=60))
        await anext(parts)
        for number in range(100):
            bus.publish([Happening("report", f"node-{number}", 1)])
        return (await anext(parts)).decode()

    change = asyncio.run(run())
    said = json.loads(change.partition("data: ")[2])

    assert said["kinds"] == ["report"]
    assert len(said["nodes"]) == 50
    assert change.startswith("id: 100\n")


def test_what_is_kept_no_more_is_said() -> None:
    """Whoever was away for too long loads everything again."""
    bus = Bus(0)
    bus.publish([Happening("report", "n", 1) for _ in range(5000)])

    (_, change) = asyncio.run(some(bus, 2, last=3))
    assert '"reset"' in change


def test_a_quiet_stream_stays_open_and_ends_in_time() -> None:
    """Something is sent where nothing happens, so that what stands between does not hang up; then it ends."""
    parts = asyncio.run(some(Bus(0), 1000, Pace(gathered=0.01, quiet=0.01, lasting=0.08)))

    assert parts[0].startswith("retry: ")
    assert parts[1:]
    assert set(parts[1:]) == {": nothing happened\n\n"}
    assert len(parts) < 20


def test_it_ends_with_the_dashboard() -> None:
    """A stop waits for no browser."""
    bus = Bus(0)
    bus.close()

    assert len(asyncio.run(some(bus, 10))) == 1
    assert bus.watching == 0


def test_a_browser_that_goes_is_forgotten(dashboard: Any) -> None:
    """Its connection is all that there was."""
    with dashboard.stream() as response:
        told(response)
        assert dashboard.services.bus.watching == 1


def test_there_is_a_limit(dashboard: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes need connections, too."""
    monkeypatch.setitem(live.__globals__, "MOST_STREAMS", 0)
    assert MOST_STREAMS > 0
    answer = dashboard.begin_stream(dashboard.admin)

    assert (503, "10") == (answer.status, answer.headers["retry-after"])


def test_pages_that_live_have_parts_that_do(browser: Any, dashboard: Any, machine: Any) -> None:
    """Each with an id of its own, and the script; other pages have neither."""
    dashboard.enrol(machine)
    for path, lives in (("/", True), ("/nodes", True), ("/releases", True), ("/outliers", True), ("/enrolment", True),
                        ("/tokens", False), ("/settings", False)):  # fmt: skip
        text = browser.get(path).text
        parts = re.findall(r"<\w+[^>]* data-live>", text)
        assert (bool(parts), "live.js" in text, "data-live-state" in text) == (lives,) * 3
        assert all(' id="' in part for part in parts)
