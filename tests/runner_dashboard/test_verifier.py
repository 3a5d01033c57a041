"""A real verifier on a real store sends its report to a real dashboard, and the page shows what it found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from runner_dashboard.config import DatabaseTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node, Result

pytestmark = [pytest.mark.nix, pytest.mark.root]

LEVEL = ("--level", "bytes")


@pytest.fixture
def storage() -> DatabaseTable:
    """Give the default: what is looked at here is on the node's side of the address."""
    return DatabaseTable()


@pytest.fixture
def node(lab: Lab, request: pytest.FixtureRequest) -> Node:
    """Give an untouched node."""
    return lab.clone_node(f"dashboard-{request.node.name}"[:60])


def verify(lab: Lab, node: Node, dashboard: Any, token: str = "") -> Result:
    """Let the node verify itself and report to the dashboard, with a token where one is given."""
    report: dict[str, Any] = {"url": f"http://127.0.0.1:{dashboard.port}"}
    if token:
        file = node.directory / "token"
        file.write_text(token)
        report["token_file"] = str(file)
    node.configure(lab.server.url, report=report)
    return lab.verify(node, *LEVEL)


def test_a_report_arrives_and_is_shown(lab: Lab, node: Node, dashboard: Any, browser: Any) -> None:
    """Enrolled by a one-time token, fresh by its nonce, passed; the evidence is what the node kept itself."""
    ticket = dashboard.post("/api/v1/enrolments", {"name": "the lab's node"}).json["token"]
    result = verify(lab, node, dashboard, ticket)

    assert (result.exit, result.verdict) == (0, "passed"), result.stderr
    (shown,) = dashboard.get("/api/v1/nodes").json["nodes"]
    assert ("the lab's node", node.name, "passed", "bytes") == (
        shown["name"], shown["claimed_name"], shown["verdict"], shown["level"],
    )  # fmt: skip
    (entry,) = dashboard.get(f"/api/v1/nodes/{shown['id']}/reports").json["reports"]
    assert not entry["late"]
    (kept,) = (node.state / "reports").glob("*.report.json")
    assert kept.read_bytes() == dashboard.get(f"/api/v1/reports/{entry['digest']}/envelope").body
    page = browser.get(f"/nodes/{shown['id']}").text
    assert "passed" in page
    assert node.release.manifest.release.tag in page


def test_a_node_that_nobody_knows_waits_and_loses_nothing(lab: Lab, node: Node, dashboard: Any, browser: Any) -> None:
    """Its report stays in the spool, and arrives after an operator has approved its key."""
    verify(lab, node, dashboard)
    assert len(list((node.state / "spool").glob("*.json"))) == 1
    (waiting,) = dashboard.get("/api/v1/nodes?state=pending").json["nodes"]
    key = json.loads(lab.programs.run(["ec-verify", "key", "--json", "--config", str(node.config)]).stdout)
    assert key["public"] == waiting["public_key"]
    form = {"form_value": browser.form_value("/enrolment"), "name": ""}
    assert browser.send(f"/nodes/{waiting['id']}/approve", form).status == 303
    verify(lab, node, dashboard)

    assert not list((node.state / "spool").glob("*.json"))
    assert dashboard.count("reports") == 2
    assert dashboard.count("suspicions") == 0


def test_a_tampered_node_is_found_among_its_peers(
    lab: Lab, request: pytest.FixtureRequest, dashboard: Any, browser: Any
) -> None:
    """What the verifier found is on the node's page with what to do, and the node is the outlier of its release."""
    make: Callable[[str], Node] = lab.clone_node
    nodes = [make(f"{request.node.name}-{number}"[-50:]) for number in range(3)]
    path = nodes[0].path("publisher-1.4")
    file = nodes[0].physical(path)
    file.chmod(0o755)
    file.write_bytes(file.read_bytes() + b"# a back door\n")
    file.chmod(0o555)
    for node in nodes:
        ticket = dashboard.post("/api/v1/enrolments", {}).json["token"]
        result = verify(lab, node, dashboard, ticket)
        assert ("EV201" in result.codes) == (node is nodes[0]), result.stderr

    (outlier,) = dashboard.get("/api/v1/outliers").json["paths"]
    assert (outlier["path"], outlier["peers"]) == (path, 3)
    (group,) = outlier["others"]
    (different,) = group["nodes"]
    assert nodes[0].name == different["name"]
    page = browser.get(f"/nodes/{different['id']}").text
    assert "Take the node out of service" in page
    assert "1 of 3" in browser.get("/outliers").text


def test_a_cloned_state_directory_is_noticed(lab: Lab, node: Node, dashboard: Any) -> None:
    """The same key and counter on two machines: the second report is another one under the same numbers, or a clone."""
    ticket = dashboard.post("/api/v1/enrolments", {}).json["token"]
    verify(lab, node, dashboard, ticket)
    counter = (node.state / "counter").read_bytes()
    verify(lab, node, dashboard, ticket)
    (node.state / "counter").write_bytes(counter)
    verify(lab, node, dashboard, ticket)

    assert dashboard.count("suspicions", "code = 'RD002'") == 1
    assert len(list((node.state / "spool" / "refused").glob("*.json"))) == 1
