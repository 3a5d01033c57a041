"""Every route, asked by everybody: the table below is written by hand, and the route table must agree with it."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from runner_dashboard.identity import tokens
from runner_dashboard.identity.roles import GRANTS, PEOPLE, SCOPES, Role, Scope
from runner_dashboard.web.routes import ROUTES
from runner_dashboard.web.spec import Spec
from runner_dashboard.web.templates import NAVIGATION

NEEDS = {
    "GET /healthz": "public",
    "GET /readyz": "public",
    "GET /metrics": "viewer metrics",
    "GET /static/{digest}/{name}": "public",
    "POST /api/v1/nonces": "node",
    "POST /api/v1/reports": "node",
    "GET /sign-in": "public",
    "POST /sign-in": "public",
    "GET /sign-in/provider": "public",
    "GET /sign-in/callback": "public",
    "POST /sign-in/passkey/challenge": "public",
    "POST /sign-in/passkey": "public",
    "POST /sign-out": "viewer read",
    "GET /settings": "viewer read",
    "POST /settings/passkeys/challenge": "viewer read",
    "POST /settings/passkeys": "viewer read",
    "POST /settings/passkeys/{passkey}/remove": "viewer read",
    "GET /": "viewer read",
    "GET /live": "viewer read",
    "GET /nodes": "viewer read",
    "GET /nodes/{node}": "viewer read",
    "GET /releases": "viewer read",
    "GET /runners": "viewer read",
    "POST /runners/{forge}/{runner}/pause": "operator operate",
    "POST /runners/{forge}/{runner}/resume": "operator operate",
    "GET /api/v1/runners": "viewer read",
    "POST /api/v1/runners/{forge}/{runner}/pause": "operator operate",
    "POST /api/v1/runners/{forge}/{runner}/resume": "operator operate",
    "GET /releases/{digest}": "viewer read",
    "GET /nodes/{node}/paths": "viewer read",
    "GET /api/v1/reports/{digest}/paths": "viewer read",
    "GET /api/v1/releases/{digest}": "viewer read",
    "GET /api/v1/manifests": "viewer read",
    "POST /api/v1/manifests": "operator operate",
    "GET /outliers": "viewer read",
    "GET /alarms": "viewer read",
    "GET /api/v1/alarms": "viewer read",
    "GET /authority": "viewer read",
    "GET /api/v1/authority": "viewer read",
    "POST /api/v1/authority": "operator operate",
    "GET /audit": "admin audit",
    "GET /enrolment": "operator enrol",
    "POST /enrolment/tickets": "operator enrol",
    "POST /enrolment/tickets/{ticket}/revoke": "operator enrol",
    "POST /enrolment/nodes": "operator enrol",
    "POST /nodes/{node}/approve": "operator enrol",
    "POST /nodes/{node}/retire": "operator enrol",
    "POST /nodes/{node}/rekey": "operator enrol",
    "GET /acknowledgements": "viewer read",
    "POST /acknowledgements": "operator operate",
    "POST /acknowledgements/{acknowledgement}/revoke": "operator operate",
    "GET /tokens": "admin tokens",
    "POST /tokens": "admin tokens",
    "POST /tokens/{token}/revoke": "admin tokens",
    "GET /api/v1/overview": "viewer read",
    "GET /api/v1/history": "viewer read",
    "GET /api/v1/nodes": "viewer read",
    "GET /api/v1/nodes/{node}": "viewer read",
    "GET /api/v1/nodes/{node}/reports": "viewer read",
    "GET /api/v1/reports/{digest}": "viewer read",
    "GET /api/v1/reports/{digest}/envelope": "viewer read",
    "GET /api/v1/releases": "viewer read",
    "GET /api/v1/outliers": "viewer read",
    "GET /api/v1/audit": "admin audit",
    "GET /api/v1/openapi.json": "viewer read",
    "GET /api/v1/enrolments": "operator enrol",
    "POST /api/v1/enrolments": "operator enrol",
    "POST /api/v1/enrolments/{ticket}/revoke": "operator enrol",
    "POST /api/v1/nodes": "operator enrol",
    "POST /api/v1/nodes/{node}/approve": "operator enrol",
    "POST /api/v1/nodes/{node}/retire": "operator enrol",
    "POST /api/v1/nodes/{node}/rekey": "operator enrol",
    "GET /api/v1/acknowledgements": "viewer read",
    "POST /api/v1/acknowledgements": "operator operate",
    "POST /api/v1/acknowledgements/{acknowledgement}/revoke": "operator operate",
    "GET /api/v1/tokens": "admin tokens",
    "POST /api/v1/tokens": "admin tokens",
    "POST /api/v1/tokens/{token}/revoke": "admin tokens",
}
MAY = {
    "viewer": {"viewer read", "viewer metrics"},
    "operator": {"viewer read", "viewer metrics", "operator enrol", "operator operate"},
    "admin": {"viewer read", "viewer metrics", "operator enrol", "operator operate", "admin audit", "admin tokens"},
}
REFUSED = (401, 403)


@pytest.fixture(scope="module")
def dashboard(shared_dashboard: Any) -> Any:
    """Give one dashboard for all: nothing here changes what another test sees."""
    return shared_dashboard


@pytest.fixture(scope="module")
def people(dashboard: Any) -> dict[str, str]:
    """Give a token of each role."""
    return {role.word: token(dashboard, role) for role in PEOPLE}


def token(dashboard: Any, role: Role, scopes: tuple[Scope, ...] | None = None) -> str:
    """Make a token."""
    made = dashboard.services.database.write(
        lambda connection: tokens.create(
            connection, dashboard.services.now, name=f"a {role.word}", role=role, scopes=scopes, by="test"
        )
    )
    return str(made.render())


def ask(dashboard: Any, spec: Spec, bearer: str | None) -> Any:
    """Ask a route for what does not exist."""
    if spec.name == "GET /live":
        return dashboard.begin_stream(bearer)
    return dashboard.ask(spec.method, re.sub(r"{\w+}", "0" * 32, spec.path), token=bearer)


def test_every_route_is_in_the_table() -> None:
    """A new route gets its rule here first, and one route has one rule."""
    found = [(spec.name, f"{spec.role.word} {spec.scope or ''}".strip()) for spec in ROUTES]

    assert NEEDS == dict(found)
    assert len(NEEDS) == len(found)


def test_a_route_without_a_rule_cannot_be_written() -> None:
    """People need a role and a scope; what is public says so."""
    with pytest.raises(ValueError, match="need a role and a scope"):
        Spec("GET", "/x", print, Role.VIEWER, None, "page", "x")
    with pytest.raises(ValueError, match="need a role and a scope"):
        Spec("GET", "/x", print, Role.PUBLIC, "read", "page", "x")


@pytest.mark.parametrize("spec", ROUTES, ids=lambda spec: spec.name)
def test_strangers_are_let_in_nowhere_else(dashboard: Any, spec: Spec) -> None:
    """Without a token: public pages, and nodes, who prove themselves by what they send."""
    answer = ask(dashboard, spec, None)

    if NEEDS[spec.name] in ("public", "node"):
        assert answer.status not in REFUSED or spec.name == "POST /sign-in"
    elif spec.kind == "page":
        assert (303, True) == (answer.status, answer.headers["location"].startswith("/sign-in?next=/"))
    else:
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("spec", "role"), product(ROUTES, MAY), ids=lambda one: one if isinstance(one, str) else one.name
)
def test_everybody_may_what_the_table_says(dashboard: Any, people: dict[str, str], spec: Spec, role: str) -> None:
    """And is answered 403 elsewhere."""
    needs = NEEDS[spec.name]
    if needs in ("public", "node"):
        return
    status = ask(dashboard, spec, people[role]).status

    assert (403 == status) is (needs not in MAY[role])
    assert status not in (401, 500)


@pytest.mark.parametrize("spec", [spec for spec in ROUTES if spec.scope], ids=lambda spec: spec.name)
def test_a_token_without_the_scope_may_not(dashboard: Any, spec: Spec) -> None:
    """Whatever its role."""
    others = tuple(scope for scope in SCOPES if scope != spec.scope)

    assert 403 == ask(dashboard, spec, token(dashboard, Role.ADMIN, others)).status


@pytest.mark.parametrize(
    "bearer",
    ["nonsense", "ecd_0123456789abcdef_" + "A" * 43, "ece_0123456789abcdef_" + "A" * 43, "ecd_", "x" * 9000, ""],
)
def test_a_token_that_is_none_opens_nothing(dashboard: Any, bearer: str) -> None:
    """It is not taken for the absence of one either."""
    answer = dashboard.ask("GET", "/api/v1/overview", headers={"Authorization": f"Bearer {bearer}"})

    assert 401 == answer.status


def test_a_token_that_ended_opens_nothing(dashboard: Any) -> None:
    """Expired, or revoked."""
    made = dashboard.post("/api/v1/tokens", {"name": "short", "days": 1}).json
    assert 200 == dashboard.ask("GET", "/api/v1/overview", token=made["token"]).status
    dashboard.clock.now += 86_400
    assert 401 == dashboard.ask("GET", "/api/v1/overview", token=made["token"]).status
    other = dashboard.post("/api/v1/tokens", {"name": "other"}).json
    assert 200 == dashboard.post(f"/api/v1/tokens/{other['id']}/revoke", {}).status

    assert 401 == dashboard.ask("GET", "/api/v1/overview", token=other["token"]).status
    assert 409 == dashboard.post(f"/api/v1/tokens/{other['id']}/revoke", {}).status


def test_one_secret_does_not_fit_another_identifier(dashboard: Any) -> None:
    """Both halves of a token belong together."""
    one, two = (dashboard.post("/api/v1/tokens", {"name": name}).json["token"] for name in "ab")
    mixed = "_".join([*one.split("_")[:2], two.split("_", 2)[2]])

    assert 401 == dashboard.ask("GET", "/api/v1/overview", token=mixed).status


def test_what_does_not_exist_is_not_found(dashboard: Any) -> None:
    """And other methods are refused, not guessed."""
    assert 404 == dashboard.get("/nowhere").status
    assert 404 == dashboard.get("/nodes/").status
    assert 405 == dashboard.ask("DELETE", "/nodes", token=dashboard.admin).status
    assert 404 == dashboard.get("/static/0000/../../config.py").status


def test_the_menu_offers_what_may_be_opened() -> None:
    """Its entries need what their pages need."""
    needs = {path: f"{role.word} {scope}" for path, _, role, scope in NAVIGATION}

    assert needs == {path: NEEDS[f"GET {path}"] for path in needs}


def test_roles_grow() -> None:
    """Each may what those before it may."""
    viewer, operator, admin = (GRANTS[role] for role in PEOPLE)

    assert viewer < operator < admin == frozenset(SCOPES)
