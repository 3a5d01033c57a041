"""Acknowledged findings: somebody knows, until a day; nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from runner_dashboard.demo.machine import Machine, Release, finding

DAY = 86_400
PATH = "/nix/store/00000000000000000000000000000000-tampered"


def wrong(dashboard: Any, name: str, code: str = "EV201", path: str | None = PATH) -> str:
    """Let a machine report one failing finding, and return its identifier."""
    machine = Machine(name, Release(1))
    dashboard.enrol(machine)
    report = machine.passed(dashboard.clock.now)
    report = replace(report, verdict="failed", findings=(finding(code, "other bytes", path),))
    assert dashboard.send(machine.sign(report)).status == 201
    (node,) = (one["id"] for one in dashboard.get("/api/v1/nodes").json["nodes"] if one["name"] == name)
    return str(node)


def codes(dashboard: Any) -> list[tuple[str, int]]:
    """Return the open findings of the overview, with the number of nodes."""
    return [(one["code"], one["nodes"]) for one in dashboard.get("/api/v1/overview").json["findings"]]


def acknowledged(dashboard: Any, **fields: Any) -> Any:
    """Acknowledge, through the API."""
    return dashboard.post("/api/v1/acknowledgements", {"code": "EV201", "owner": "storage", "reason": "disk"} | fields)


def test_a_finding_that_is_known_is_counted_and_not_listed(dashboard: Any) -> None:
    """Until the day that was named; the verdict stays."""
    node = wrong(dashboard, "one")
    assert codes(dashboard) == [("EV201", 1)]
    assert acknowledged(dashboard, node=node, days=1).status == 201

    overview = dashboard.get("/api/v1/overview").json
    assert (overview["findings"], overview["acknowledged"], overview["verdicts"]["failed"]) == ([], 1, 1)
    dashboard.clock.now += DAY
    assert codes(dashboard) == [("EV201", 1)]


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({}, []),
        ({"path": PATH}, []),
        ({"path": PATH + "-other"}, [("EV201", 2)]),
        ({"node": "one"}, [("EV201", 1)]),
        ({"node": "one", "path": PATH}, [("EV201", 1)]),
        ({"code": "EV202"}, [("EV201", 2)]),
    ],
)
def test_it_covers_what_it_names(dashboard: Any, fields: dict[str, str], left: list[tuple[str, int]]) -> None:
    """A code, on one node or all, for one path or all, and nothing beside that."""
    nodes = {name: wrong(dashboard, name) for name in ("one", "two")}
    if "node" in fields:
        fields = fields | {"node": nodes[fields["node"]]}
    assert acknowledged(dashboard, **fields).status == 201

    assert codes(dashboard) == left


def test_a_finding_without_a_path_is_not_covered_by_one(dashboard: Any) -> None:
    """What names a path is about that path."""
    wrong(dashboard, "one", path=None)
    acknowledged(dashboard, path=PATH)

    assert codes(dashboard) == [("EV201", 1)]


def test_it_can_be_ended_and_both_are_audited(dashboard: Any) -> None:
    """Who did it stands there; what has ended cannot end again."""
    wrong(dashboard, "one")
    made = acknowledged(dashboard).json["id"]
    assert dashboard.post(f"/api/v1/acknowledgements/{made}/revoke", {}).status == 200

    assert codes(dashboard) == [("EV201", 1)]
    assert dashboard.post(f"/api/v1/acknowledgements/{made}/revoke", {}).status == 409
    assert dashboard.post("/api/v1/acknowledgements/nothing/revoke", {}).status == 404
    assert dashboard.count("audit", "action LIKE 'finding.%' AND outcome = 'done'") == 2


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"code": "EV999"}, 400),
        ({"code": ""}, 400),
        ({"owner": ""}, 400),
        ({"reason": ""}, 400),
        ({"days": 0}, 400),
        ({"days": 366}, 400),
        ({"node": "0" * 32}, 404),
        ({"surprise": "x"}, 400),
    ],
)
def test_nothing_half_is_taken(dashboard: Any, fields: dict[str, Any], status: int) -> None:
    """An owner, a reason, an end of at most a year, a code that exists, a node that is there."""
    assert acknowledged(dashboard, **fields).status == status
    assert dashboard.count("acknowledgements") == 0


def test_the_pages_say_who_knows(browser: Any, dashboard: Any) -> None:
    """The node's page leads to the form, which is filled already, and says afterwards who knows and until when."""
    node = wrong(dashboard, "one")
    page = browser.get(f"/nodes/{node}").text
    assert f"/acknowledgements?code=EV201&amp;node={node}" in page
    form = browser.get(f"/acknowledgements?code=EV201&node={node}&path=/nix/store/x").text
    assert 'value="EV201"' in form
    fields = {"form_value": browser.form_value("/acknowledgements"), "code": "EV201", "node": node, "path": "",
              "owner": "<b>storage</b>", "reason": "a new disk comes", "days": "3"}  # fmt: skip
    assert browser.send("/acknowledgements", fields).status == 303

    page = browser.get(f"/nodes/{node}").text
    assert "known to &lt;b&gt;storage&lt;/b&gt;" in page
    assert "a new disk comes" in browser.get("/acknowledgements").text
    assert "1 more" in browser.get("/").text


def test_a_viewer_sees_and_does_not_decide(dashboard: Any, new_browser: Any) -> None:
    """Nothing is offered that would be refused."""
    wrong(dashboard, "one")
    viewer = new_browser()
    viewer.sign_in(dashboard.post("/api/v1/tokens", {"name": "v"}).json["token"])
    assert '<form class="card"' not in viewer.get("/acknowledgements").text
    fields = {"form_value": viewer.form_value("/"), "code": "EV201", "owner": "x", "reason": "x"}

    assert viewer.send("/acknowledgements", fields).status == 403
