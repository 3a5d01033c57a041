"""Browsers: signing in, forms, cookies, headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner_dashboard.config import ServerTable

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_token_begins_a_session(browser: Any) -> None:
    """Its cookie is not for scripts and not for other sites."""
    answer = browser.sign_in(browser.dashboard.admin, next="/nodes?state=pending")

    assert answer.headers["location"] == "/nodes?state=pending"
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(answer.headers["set-cookie"].split("; "))
    assert browser.get("/nodes").status == 200


@pytest.mark.parametrize("following", ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\r\nb"])
def test_nobody_is_sent_elsewhere(browser: Any, following: str) -> None:
    """What follows the sign-in is a page of ours."""
    assert browser.sign_in(browser.dashboard.admin, next=following).headers["location"] == "/"


def test_a_wrong_token_begins_nothing_and_is_audited(dashboard: Any, new_browser: Callable[[], Any]) -> None:
    """The token itself is written nowhere."""
    browser = new_browser()
    answer = browser.sign_in("ecd_0123456789abcdef_" + "B" * 43)

    assert (401, "") == (answer.status, browser.cookie)
    assert "B" * 43 not in answer.text
    assert dashboard.count("audit", "action = 'POST /sign-in' AND outcome = 'refused'") == 1
    assert dashboard.count("audit", f"detail LIKE '%{'B' * 43}%' OR subject LIKE '%{'B' * 43}%'") == 0


def test_a_token_for_machines_begins_no_session(dashboard: Any, new_browser: Callable[[], Any]) -> None:
    """It could not even sign out."""
    made = dashboard.post("/api/v1/tokens", {"name": "monitoring", "scopes": ["metrics"]}).json

    assert new_browser().sign_in(made["token"]).status == 401
    assert dashboard.ask("GET", "/metrics", token=made["token"]).status == 200


def test_another_site_cannot_sign_somebody_in(dashboard: Any, new_browser: Callable[[], Any]) -> None:
    """Not as a stranger's account, and not as anybody."""
    browser = new_browser()
    fields = {"token": dashboard.admin}
    host = f"127.0.0.1:{dashboard.port}"

    assert browser.send("/sign-in", fields, {"Sec-Fetch-Site": "cross-site"}).status == 403
    assert browser.send("/sign-in", fields, {"Origin": "https://evil.example"}).status == 403
    assert browser.send("/sign-in", fields, {"Origin": "null"}).status == 403
    assert browser.send("/sign-in", fields, {"Origin": f"http://{host}"}).status == 303


def test_a_cookie_that_we_did_not_sign_is_none(browser: Any) -> None:
    """Also one of which a single character differs."""
    name, _, value = browser.cookie.partition("=")
    session, _, mac = value.partition(".")
    for forged in (
        f"{session}.",
        session,
        f"{session}.{mac[:-2]}AA",
        f"x{session}.{mac}",
        ".",
        "é.é",
        f"{value}.{mac}",
    ):
        browser.cookie = f"{name}={forged}"
        assert browser.get("/nodes").status == 303


def test_a_session_ends(browser: Any) -> None:
    """By its time, whatever the browser keeps."""
    browser.dashboard.clock.now += 28_800

    assert browser.get("/nodes").status == 303


def test_signing_out_ends_it_on_the_server(browser: Any) -> None:
    """The cookie alone is worth nothing then."""
    kept = browser.cookie
    answer = browser.send("/sign-out", {"form_value": browser.form_value("/nodes")})
    browser.cookie = kept

    assert answer.headers["location"] == "/sign-in"
    assert browser.get("/nodes").status == 303


def test_a_session_ends_with_its_token(browser: Any, dashboard: Any, new_browser: Callable[[], Any]) -> None:
    """Revoking it is enough."""
    made = dashboard.post("/api/v1/tokens", {"name": "a viewer"}).json
    viewer = new_browser()
    viewer.sign_in(made["token"])
    assert viewer.get("/nodes").status == 200
    revoke = {"form_value": browser.form_value("/tokens")}
    assert browser.send(f"/tokens/{made['id']}/revoke", revoke).status == 303

    assert viewer.get("/nodes").status == 303


@pytest.mark.parametrize("value", [None, "", "x", "é"])
def test_a_form_that_was_not_handed_out_is_refused(browser: Any, value: str | None) -> None:
    """Other sites can make a browser send one, but not with this value."""
    fields = {"name": "stolen"} | ({} if value is None else {"form_value": value})
    answer = browser.send("/tokens", fields)

    assert answer.status == 403
    assert "forbidden.form" in answer.text
    assert browser.dashboard.count("tokens") == 1


def test_a_form_of_another_session_is_refused(browser: Any, dashboard: Any, new_browser: Callable[[], Any]) -> None:
    """Its value is made of the session."""
    other = new_browser()
    other.sign_in(dashboard.admin)

    assert browser.send("/tokens", {"name": "x", "form_value": other.form_value("/tokens")}).status == 403


def test_the_api_is_changed_with_a_token_not_with_a_cookie(browser: Any) -> None:
    """A browser sends cookies by itself."""
    headers = {"Cookie": browser.cookie, "Content-Type": "application/json"}

    assert browser.dashboard.ask("POST", "/api/v1/tokens", b'{"name": "x"}', headers=headers).status == 403
    assert browser.get("/api/v1/overview").status == 200


def test_every_answer_carries_the_headers(browser: Any) -> None:
    """Pages, refusals, JSON and what does not exist."""
    for path in ("/", "/sign-in", "/nowhere", "/api/v1/overview", "/healthz", "/api/v1/nowhere"):
        headers = browser.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert ("nosniff", "DENY") == (headers["x-content-type-options"], headers["x-frame-options"])
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_behind_tls_cookies_are_for_tls(serve: Callable[..., Any], browse: Callable[[Any], Any]) -> None:
    """Under a name that no other host can set."""
    with serve(server=ServerTable(port=0, grace=5, public_url="https://dashboard.example.org")) as dashboard:
        browser = browse(dashboard)
        answer = browser.sign_in(dashboard.admin)

        assert answer.headers["set-cookie"].startswith("__Host-dashboard=")
        assert "Secure" in answer.headers["set-cookie"]
        assert "max-age" in answer.headers["strict-transport-security"]
        assert browser.get("/nodes").status == 200


def test_a_large_or_odd_form_is_refused(browser: Any) -> None:
    """Before anything is made of it."""
    assert browser.send("/tokens", {"name": "x" * 100_000}).status == 413
    assert browser.send("/tokens", {f"f{number}": "x" for number in range(200)}).status == 400
    odd = browser.dashboard.ask("POST", "/tokens", b"{}", headers={"Cookie": browser.cookie})
    assert odd.status == 415
