"""Names in headers: believed from the proxy's addresses, and from nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner_dashboard.config import ProxyTable
from runner_dashboard.identity.proxy import Proxy
from runner_dashboard.identity.roles import Role
from runner_dashboard.refusals import ForbiddenError

TABLE = ProxyTable(networks=("127.0.0.1/32", "fd00::/8"), operators=("bob", "group:ops"), viewers=("*",))


def test_who_is_named_is_let_in(serve: Any, browse: Any) -> None:
    """Pages and forms work without a cookie; forms carry a value made for this name."""
    with serve(proxy=TABLE) as dashboard:
        browser = browse(dashboard)
        bob = {"Remote-User": "bob"}
        page = dashboard.ask("GET", "/enrolment", headers=bob)
        assert "proxy/bob" in page.text
        assert dashboard.ask("GET", "/audit", headers=bob).status == 403
        value = page.text.partition('name="form_value" value="')[2].partition('"')[0]
        assert browser.send("/enrolment/tickets", {"form_value": value, "name": "n"}, bob).status == 200
        assert browser.send("/enrolment/tickets", {"form_value": value}, {"Remote-User": "eve"}).status == 403
        ops = {"Remote-User": "carol", "Remote-Groups": "dev, ops"}
        assert browser.send("/enrolment/tickets", {"form_value": value}, ops).status == 403
        assert browser.send("/enrolment/tickets", {"name": "n"}, bob).status == 403
        assert dashboard.ask("GET", "/enrolment", headers=ops).status == 200
        assert dashboard.count("audit", "actor = 'proxy/bob' AND outcome = 'done'") == 1


def test_another_site_cannot_use_it_through_the_api(serve: Any) -> None:
    """A browser behind the proxy is named in every request, also in those that another site makes it send."""
    with serve(proxy=TABLE) as dashboard:
        headers = {"Remote-User": "bob", "Content-Type": "application/json"}
        answer = dashboard.ask("POST", "/api/v1/enrolments", b"{}", headers=headers)

        assert (403, "forbidden.form") == (answer.status, answer.code)


def test_a_token_counts_before_a_name(serve: Any) -> None:
    """Programs behind the proxy are who their token says."""
    with serve(proxy=TABLE) as dashboard:
        assert dashboard.get("/api/v1/audit", headers={"Remote-User": "bob"}).status == 200
        wrong = dashboard.ask("GET", "/api/v1/overview", token="ecd_x", headers={"Remote-User": "bob"})  # noqa: S106 - none
        assert wrong.status == 401


def test_from_elsewhere_a_name_is_nothing(serve: Any) -> None:
    """Without networks, or from another address, whoever sends it is a stranger."""
    with serve(proxy=ProxyTable(networks=("192.0.2.0/24",), viewers=("*",))) as dashboard:
        assert dashboard.ask("GET", "/api/v1/overview", headers={"Remote-User": "bob"}).status == 401


def test_a_header_that_came_twice_is_refused(serve: Any) -> None:
    """One of them is the client's own."""
    import http.client

    with serve(proxy=TABLE) as dashboard:
        connection = http.client.HTTPConnection("127.0.0.1", dashboard.port)
        connection.putrequest("GET", "/api/v1/overview")
        connection.putheader("Remote-User", "eve")
        connection.putheader("Remote-User", "bob")
        connection.endheaders()
        assert connection.getresponse().status == 403
        connection.close()


def test_passkeys_are_no_way_around_the_proxy(serve: Any, browse: Any) -> None:
    """Who is named by it signs in there."""
    with serve(proxy=TABLE) as dashboard:
        page = dashboard.ask("GET", "/settings", headers={"Remote-User": "bob"})
        assert "passkeys are its business" in page.text
        value = page.text.partition('name="form_value" value="')[2].partition('"')[0]
        sent = browse(dashboard).send("/settings/passkeys/challenge", {"form_value": value}, {"Remote-User": "bob"})
        assert sent.status == 409


@pytest.mark.parametrize(
    ("address", "believed"),
    [
        ("127.0.0.1", True),
        ("::ffff:127.0.0.1", True),
        ("fd00::1", True),
        ("fd00::1%eth0", True),
        ("127.0.0.2", False),
        ("::1", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_addresses_are_compared_as_addresses(address: str, believed: bool) -> None:  # noqa: FBT001 - a column
    """Also one of the old kind that is written as one of the new."""
    assert (Proxy(TABLE).principal(address, ["bob"], []) is not None) is believed


def test_who_is_on_no_list_is_refused() -> None:
    """Not taken for a stranger, who would be asked to sign in."""
    with pytest.raises(ForbiddenError, match="none of the lists"):
        Proxy(ProxyTable(networks=("127.0.0.1/32",), admins=("bob",))).principal("127.0.0.1", ["eve"], [])


@given(st.text(max_size=250), st.text(max_size=600))
def test_whatever_stands_in_the_headers(user: str, groups: str) -> None:
    """Nobody becomes an operator but by that very name or group, and nothing breaks."""
    try:
        found = Proxy(TABLE).principal("127.0.0.1", [user], [groups])
    except ForbiddenError:
        return
    assert found is not None
    wanted = user == "bob" or "ops" in [word.strip() for word in groups.split(",")]
    assert (found.role is Role.OPERATOR) is wanted
