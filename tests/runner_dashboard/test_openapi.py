"""What the API says of itself, held against what it does: schemathesis asks every operation it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from runner_dashboard.config import DatabaseTable
from runner_dashboard.demo import fleet
from runner_dashboard.web.openapi import describe
from runner_dashboard.web.routes import ROUTES

if TYPE_CHECKING:
    from schemathesis import APIOperation
    from schemathesis.schemas import BaseSchema

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance,
]  # fmt: skip
SCHEMA: BaseSchema = schemathesis.openapi.from_dict(describe(ROUTES))


@schemathesis.serializer("application/zstd")
def _bytes(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]
EXAMPLES = settings(
    max_examples=25, derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def shared_storage() -> DatabaseTable:
    """Give the default."""
    return DatabaseTable()


@pytest.fixture(scope="module")
def reported(shared_dashboard: Any) -> Any:
    """Give a dashboard with something to tell."""
    fleet.populate(shared_dashboard.services, 5, shared_dashboard.clock.now)
    return shared_dashboard


@pytest.fixture
def known(reported: Any) -> dict[str, str]:
    """Give what is there for the parameters of addresses."""
    node, *_ = reported.get("/api/v1/nodes").json["nodes"]
    report, *_ = reported.get(f"/api/v1/nodes/{node['id']}/reports").json["reports"]
    made = {"days": 1, "name": "somebody"}
    return {
        "node": node["id"],
        "digest": report["digest"],
        "ticket": reported.post("/api/v1/enrolments", made).json["id"],
        "token": reported.post("/api/v1/tokens", made).json["id"],
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_an_operation_is_as_it_is_described(
    reported: Any, known: dict[str, str], operation: APIOperation[Any, Any]
) -> None:
    """No server error, and nothing that the description does not have; for what is there, too, and wrong bodies."""
    cases = operation.as_strategy()
    if operation.method == "post" and operation.body:
        cases |= operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @EXAMPLES
    @given(case=cases, there=st.booleans())
    def asked(case: Any, there: bool) -> None:  # noqa: FBT001 - hypothesis gives it by name
        if there:
            case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{reported.port}", headers={"Authorization": f"Bearer {reported.admin}"},
            checks=CHECKS, timeout=60,
        )  # fmt: skip

    asked()
