"""The API for programs: its description, its errors, its metrics."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from runner_dashboard.web.routes import ROUTES

if TYPE_CHECKING:
    from runner_dashboard.demo.machine import Machine

NOW = 1_790_000_000
SAMPLE = re.compile(r'[a-z_]+({[a-z]+="[^"]*"(,[a-z]+="[^"]*")*})? -?[0-9.e+-]+')


def references(document: Any) -> set[str]:
    """Return every reference in *document*."""
    if isinstance(document, dict):
        own = {document["$ref"]} if "$ref" in document else set()
        return own.union(*map(references, document.values()))
    return set().union(*map(references, document)) if isinstance(document, list) else set()


def test_the_description_covers_every_route_for_programs(dashboard: Any) -> None:
    """With what each needs, and every type that is referred to."""
    document = dashboard.get("/api/v1/openapi.json").json
    described = {f"{method.upper()} {path}" for path, entry in document["paths"].items() for method in entry}

    assert described == {spec.name for spec in ROUTES if spec.kind in ("api", "node", "ops")}
    schemas = document["components"]["schemas"]
    assert {one.rpartition("/")[2] for one in references(document)} <= schemas.keys()
    identifiers = [entry["operationId"] for path in document["paths"].values() for entry in path.values()]
    assert len(identifiers) == len(set(identifiers))
    assert document["paths"]["/api/v1/audit"]["get"]["security"] == [{"token": ["audit"]}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert all(part["description"] for part in schemas.values())


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"name": 7}', b'{"name": "a", "nmae": "b"}', b'{"name": "a", "name": "b"}', b"\xff"]
)
def test_a_body_that_is_not_what_is_asked_for(dashboard: Any, body: bytes) -> None:
    """Unknown and repeated fields are refused: a mistake is not a default."""
    headers = {"Content-Type": "application/json"}
    answer = dashboard.ask("POST", "/api/v1/tokens", body, token=dashboard.admin, headers=headers)

    assert (400, "malformed") == (answer.status, answer.code)


def test_a_scope_beyond_the_role_is_refused(dashboard: Any) -> None:
    """A token is never more than its role."""
    answer = dashboard.post("/api/v1/tokens", {"name": "x", "role": "viewer", "scopes": ["read", "tokens"]})

    assert (400, "malformed") == (answer.status, answer.code)
    assert "a viewer cannot have the scope tokens" in answer.json["error"]


@pytest.mark.parametrize(
    "path",
    ["/api/v1/nodes/0/approve", "/api/v1/nodes/0/retire", "/api/v1/tokens/0/revoke", "/api/v1/enrolments/0/revoke"],
)
def test_what_is_not_there_cannot_be_changed(dashboard: Any, path: str) -> None:
    """It is not found, and nothing is audited as done."""
    before = dashboard.count("audit", "outcome = 'done'")

    assert dashboard.post(path, {}).status == 404
    assert before == dashboard.count("audit", "outcome = 'done'")


def test_a_one_time_token_is_revoked(dashboard: Any, machine: Machine) -> None:
    """It enrols nobody then, and is not revoked twice."""
    made = dashboard.post("/api/v1/enrolments", {}).json
    assert dashboard.post(f"/api/v1/enrolments/{made['id']}/revoke", {}).status == 200

    assert dashboard.post(f"/api/v1/enrolments/{made['id']}/revoke", {}).status == 409
    assert dashboard.send(machine.sign(machine.passed(NOW)), token=made["token"]).code == "node.pending"
    (listed,) = dashboard.get("/api/v1/enrolments").json["enrolments"]
    assert "secret_hash" not in listed


def test_metrics_are_openmetrics(dashboard: Any, machine: Machine) -> None:
    """Each family with its type and help, one end, and no name that a node chose."""
    dashboard.enrol(machine)
    dashboard.send(machine.sign(machine.passed(NOW)))
    answer = dashboard.get("/metrics")
    lines = answer.text.splitlines()

    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert lines[-1] == "# EOF"
    samples = [line for line in lines if not line.startswith("#")]
    assert [line for line in samples if not SAMPLE.fullmatch(line)] == []
    families = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(families) == len(set(families))
    assert 'runner_dashboard_nodes{state="enrolled"} 1' in lines
    assert 'runner_dashboard_node_verdicts{verdict="passed"} 1' in lines
    assert 'runner_dashboard_reports_total{outcome="late"} 1' in lines
    assert machine.name not in answer.text


def test_readiness_needs_the_schema(dashboard: Any) -> None:
    """A database that another version changed is not served as if nothing were; the process is alive all the same."""
    assert dashboard.ask("GET", "/readyz").status == 200
    dashboard.services.database.write(
        lambda connection: connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    )
    answer = dashboard.ask("GET", "/readyz")

    assert (503, "busy") == (answer.status, answer.code)
    assert answer.headers["retry-after"]
    assert dashboard.ask("GET", "/healthz").status == 200


def test_a_database_that_fails_is_no_secret_and_no_crash(dashboard: Any) -> None:
    """The answer asks to try again, and says nothing of tables."""
    dashboard.services.database.write(lambda connection: connection.exec_driver_sql("DROP TABLE differing"))
    answer = dashboard.get("/api/v1/outliers")

    assert (503, "busy") == (answer.status, answer.code)
    assert "differing" not in answer.text
