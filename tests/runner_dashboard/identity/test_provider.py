"""Signing in at an OpenID provider that is really asked, by people and by those who pretend to be others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from runner_dashboard import config
from runner_dashboard.config import ProxyTable, SignInTable
from runner_dashboard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET = "the-client-secret"  # noqa: S105 - as in conftest


def begun(browser: Any, following: str = "/") -> str:
    """Begin to sign in; return where the browser is sent, and keep the cookie."""
    answer = browser.get(f"/sign-in/provider?next={quote(following)}")
    assert answer.status == 303, answer.text
    browser.cookie = answer.headers["set-cookie"].partition(";")[0]
    return str(answer.headers["location"])


def finished(browser: Any, brought: dict[str, str]) -> Any:
    """Come back."""
    return browser.get(f"/sign-in/callback?{urlencode(brought)}")


def signed_in(browser: Any, service: Any) -> Any:
    """Do both, and return the last answer."""
    return finished(browser, service.allow(begun(browser)))


@pytest.fixture
def session(browse: Callable[[Any], Any]) -> Callable[..., Any]:
    """Give a function that signs somebody in and returns what `/settings` says, or why they were refused."""

    def enter(dashboard: Any, service: Any) -> str:
        browser = browse(dashboard)
        answer = signed_in(browser, service)
        if answer.status != 303:
            return str(answer.text)
        (browser.cookie,) = (one.partition(";")[0] for one in answer.cookies if "Max-Age=0" not in one)
        return str(browser.get("/settings").text)

    return enter


def test_a_person_signs_in(asking: Any, openid: Any, session: Any) -> None:
    """And is who the provider says, with the role that the configuration says."""
    with asking(openid) as dashboard:
        text = session(dashboard, openid)

        assert f"{urlsplit(openid.home).netloc}/alice</strong>, admin" in text
        assert dashboard.count("people") == 1
        assert dashboard.count("audit", "action = 'session.begin' AND actor LIKE '%/alice'") == 1
        session(dashboard, openid)
        assert dashboard.count("people") == 1


def test_they_go_where_they_wanted_to_and_nowhere_else(asking: Any, openid: Any, browse: Any) -> None:
    """The page that was asked for, if it is one of ours."""
    with asking(openid) as dashboard:
        browser = browse(dashboard)
        assert finished(browser, openid.allow(begun(browser, "/nodes"))).headers["location"] == "/nodes"
        assert finished(browser, openid.allow(begun(browser, "//evil.example"))).headers["location"] == "/"


@pytest.mark.parametrize(
    ("lists", "role"),
    [
        ({"admins": ("alice",)}, "admin"),
        ({"admins": (), "operators": ("group:ops",)}, "operator"),
        ({"admins": (), "viewers": ("*",)}, "viewer"),
        ({"admins": ("bob",), "operators": ("group:dev",), "viewers": ("alice",)}, "viewer"),
        ({"admins": ("group:ops",), "viewers": ("*",)}, "admin"),
    ],
)
def test_the_lists_decide(asking: Any, openid: Any, session: Any, lists: dict[str, Any], role: str) -> None:
    """By name, by group, or for everybody; the highest role counts."""
    with asking(openid, **lists) as dashboard:
        assert f"</strong>, {role}," in session(dashboard, openid)


@pytest.mark.parametrize("login", ["group:ops", "*", "Alice", "alice ", "alice\u202e"])
def test_nobody_becomes_another_by_the_name_they_choose(asking: Any, openid: Any, session: Any, login: str) -> None:
    """Not a group, not everybody, not who is spelled almost alike."""
    openid.claims = {"preferred_username": login, "groups": []}
    with asking(openid, admins=("group:ops", "alice")) as dashboard:
        assert "may nothing here" in (text := session(dashboard, openid)) or "says no" in text
        assert dashboard.count("sessions") == 0


def test_who_is_on_no_list_is_told_so(asking: Any, openid: Any, browse: Any) -> None:
    """They get no session, and the refusal is audited with their name."""
    with asking(openid, admins=("bob",)) as dashboard:
        answer = signed_in(browse(dashboard), openid)

        assert answer.status == 403
        assert "alice may nothing here" in answer.text
        assert dashboard.count("sessions") == 0
        assert dashboard.count("audit", "outcome = 'refused' AND detail LIKE '%alice may nothing%'") == 1


def test_groups_may_come_from_the_other_answer(asking: Any, openid: Any, session: Any) -> None:
    """Many providers say them only when they are asked for more."""
    openid.claims = {"groups": None}
    openid.info = {"sub": "7", "groups": ["ops"]}
    with asking(openid, admins=("group:ops",)) as dashboard:
        assert "</strong>, admin," in session(dashboard, openid)


def test_the_other_answer_must_be_about_the_same_person(asking: Any, openid: Any, browse: Any) -> None:
    """Else somebody's token would bring somebody else's groups."""
    openid.claims = {"groups": None}
    openid.info = {"sub": "8", "groups": ["ops"]}
    with asking(openid, admins=("group:ops",)) as dashboard:
        assert signed_in(browse(dashboard), openid).status == 403


def test_an_address_counts_when_it_was_verified(asking: Any, openid: Any, browse: Any) -> None:
    """Anybody can write another's address into their profile."""
    openid.claims = {"email": "alice@example.org"}
    with asking(openid, login_claim="email", admins=("alice@example.org",)) as dashboard:
        assert "not verified" in signed_in(browse(dashboard), openid).text
        openid.claims["email_verified"] = "true"
        assert "not verified" in signed_in(browse(dashboard), openid).text
        openid.claims["email_verified"] = True
        assert signed_in(browse(dashboard), openid).status == 303


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"aud": "another"}, "another client"),
        ({"aud": None}, "another client"),
        ({"aud": ["dashboard", "another"]}, "several clients"),
        ({"nonce": "of another attempt"}, "this attempt"),
        ({"nonce": None}, "this attempt"),
        ({"exp": 1}, "ended"),
        ({"exp": None}, "ended"),
        ({"exp": "tomorrow"}, "ended"),
        ({"exp": True}, "ended"),
        ({"iat": 99_999_999_999}, "future"),
        ({"nbf": 99_999_999_999}, "not hold yet"),
        ({"sub": None}, "nobody"),
        ({"sub": 7}, "nobody"),
        ({"sub": "7" * 256}, "nobody"),
        ({"preferred_username": None}, "says no preferred_username"),
        ({"preferred_username": "a" * 201}, "says no preferred_username"),
    ],
)
def test_a_token_that_does_not_fit_is_refused(
    asking: Any, openid: Any, browse: Any, claims: dict[str, Any], said: str
) -> None:
    """It is signed by the provider, but not for this."""
    openid.claims = claims
    with asking(openid) as dashboard:
        answer = signed_in(browse(dashboard), openid)

        assert (403, True) == (answer.status, said in answer.text)
        assert dashboard.count("sessions") == 0


def unsigned(_: Any, claims: dict[str, Any]) -> str:
    """Return a token with the algorithm `none`."""
    import base64

    def part(document: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none'})}.{part(claims)}."


def by_the_secret(_: Any, claims: dict[str, Any]) -> str:
    """Return a token signed with the client's secret, which the client has, too."""
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET * 3), algorithms=["HS256"])


def by_another(openid: Any, claims: dict[str, Any]) -> str:
    """Return a token signed by a key that the provider does not show, under the name of one that it does."""
    other = ECKey.generate_key("P-256", {"kid": openid.key.kid}, auto_kid=False)
    return jwt.encode({"alg": "ES256", "kid": other.kid}, claims, other)


def by_its_own(_: Any, claims: dict[str, Any]) -> str:
    """Return a token that brings its key along."""
    other = ECKey.generate_key("P-256")
    return jwt.encode({"alg": "ES256", "jwk": other.as_dict(private=False)}, claims, other)


@pytest.mark.parametrize(
    "forged",
    [unsigned, by_the_secret, by_another, by_its_own, lambda *_: "x.y.z", lambda *_: "", lambda *_: "x" * 70_000],
    ids=["none", "secret", "another", "jwk", "nonsense", "empty", "huge"],
)
def test_a_token_that_the_provider_did_not_sign_is_refused(
    asking: Any, openid: Any, browse: Any, forged: Callable[[Any, Any], str]
) -> None:
    """Whatever it says of how it was signed."""
    openid.raw = lambda claims: forged(openid, claims)
    with asking(openid) as dashboard:
        assert signed_in(browse(dashboard), openid).status in (403, 502)
        assert dashboard.count("sessions") == 0


def test_the_provider_may_replace_its_key(asking: Any, openid: Any, browse: Any) -> None:
    """A token by a new one makes the dashboard look again, but not each time a stranger brings another."""
    with asking(openid) as dashboard:
        assert signed_in(browse(dashboard), openid).status == 303
        openid.key = ECKey.generate_key("P-256", {"kid": "two"}, auto_kid=False)
        openid.shown = [openid.key]
        assert signed_in(browse(dashboard), openid).status == 403
        dashboard.clock.now += 61
        openid.now = dashboard.clock.now
        assert signed_in(browse(dashboard), openid).status == 303
        asked = openid.asked.count("/keys")
        openid.raw = lambda claims: by_its_own(openid, claims)
        assert [signed_in(browse(dashboard), openid).status for _ in range(3)] == [403] * 3
        assert openid.asked.count("/keys") == asked


def test_an_answer_is_good_for_the_browser_that_began(asking: Any, openid: Any, browse: Any) -> None:
    """Else somebody could make another's browser sign in as themselves, or use a code that they overheard."""
    with asking(openid) as dashboard:
        victim, attacker = browse(dashboard), browse(dashboard)
        brought = openid.allow(begun(attacker))
        assert finished(victim, brought).status == 403
        begun(victim)
        assert finished(victim, brought).status == 403
        assert finished(attacker, {**brought, "state": "x"}).status == 403
        assert finished(attacker, {**brought, "state": "é"}).status == 403
        assert dashboard.count("sessions") == 0
        assert finished(attacker, brought).status == 303


def test_an_attempt_is_good_for_once_and_for_ten_minutes(asking: Any, openid: Any, browse: Any) -> None:
    """Whoever finds the address in a history comes too late."""
    with asking(openid) as dashboard:
        browser = browse(dashboard)
        brought = openid.allow(begun(browser))
        assert finished(browser, brought).status == 303
        assert "used already" in finished(browser, brought).text
        brought = openid.allow(begun(browser))
        dashboard.clock.now += 600
        assert "too old" in finished(browser, brought).text


def test_the_answer_of_another_provider_is_refused(asking: Any, openid: Any, browse: Any) -> None:
    """RFC 9207: a provider that is asked, too, could pass on its own."""
    with asking(openid) as dashboard:
        browser = browse(dashboard)
        brought = openid.allow(begun(browser))
        assert "another provider" in finished(browser, {**brought, "iss": "https://evil.example"}).text
        brought = openid.allow(begun(browser))
        assert finished(browser, {**brought, "iss": openid.home}).status == 303


def test_somebody_may_say_no(asking: Any, openid: Any, browse: Any) -> None:
    """What the provider calls it is shown when it is a code, and nothing else is."""
    with asking(openid) as dashboard:
        for error, shown in (("access_denied", "access_denied"), ("<b>x</b>", "without a reason")):
            browser = browse(dashboard)
            state = parse_qs(urlsplit(begun(browser)).query)["state"][0]
            answer = finished(browser, {"state": state, "error": error})
            assert (403, True) == (answer.status, shown in answer.text)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/token", 500, b"{}"),
        ("/token", 200, b"[]"),
        ("/token", 200, b"{}"),
        ("/token", 200, b"not JSON"),
        ("/token", 200, b'{"a": ' * 50 + b"1" + b"}" * 50),
        ("/token", 302, b""),
        ("/token", 200, b" " * (1 << 20) + b" {}"),
        ("/keys", 200, b"{}"),
        ("/keys", 200, b'{"keys": [{"kty": "EC"}]}'),
        ("/.well-known/openid-configuration", 200, b"{}"),
        ("/.well-known/openid-configuration", 404, b""),
    ],
)
def test_a_provider_that_fails_is_said_to(
    asking: Any, openid: Any, browse: Any, path: str, status: int, body: bytes
) -> None:
    """502, one line, no session; the token page still works."""
    with asking(openid) as dashboard:
        browser = browse(dashboard)
        openid.faults[path] = (status, body)
        answer = browser.get("/sign-in/provider")
        if answer.status == 303:
            browser.cookie = answer.headers["set-cookie"].partition(";")[0]
            answer = finished(browser, openid.allow(answer.headers["location"]))

        assert answer.status == 502
        assert "sign-in service" in answer.text
        assert SECRET not in answer.text
        assert browser.sign_in(dashboard.admin).status == 303


def test_a_provider_that_calls_itself_otherwise_is_not_asked(asking: Any, openid: Any, browse: Any) -> None:
    """Its keys would be another's."""
    names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    document = {"issuer": "https://evil.example", **dict.fromkeys(names, f"{openid.home}/x")}
    openid.faults["/.well-known/openid-configuration"] = (200, json.dumps(document).encode())
    with asking(openid) as dashboard:
        answer = browse(dashboard).get("/sign-in/provider")

        assert (502, True) == (answer.status, "calls itself" in answer.text)


def test_a_provider_that_is_away(asking: Any, openid: Any, browse: Any) -> None:
    """Nothing hangs, and nothing of ours is in the line."""
    with asking(openid, issuer="http://127.0.0.1:9") as dashboard:
        answer = browse(dashboard).get("/sign-in/provider")

        assert (502, True) == (answer.status, "cannot be reached" in answer.text)


def test_a_provider_that_takes_the_secret_in_the_form(asking: Any, openid: Any, session: Any) -> None:
    """As it says itself."""
    openid.methods = ["client_secret_post"]
    with asking(openid) as dashboard:
        assert "</strong>, admin," in session(dashboard, openid)


def test_strangers_cannot_fill_the_disk_with_attempts(
    asking: Any, openid: Any, browse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a number they are asked to wait, and what is old is swept away."""
    monkeypatch.setattr("runner_dashboard.identity.flows._WAITING", 3)
    with asking(openid) as dashboard:
        browser = browse(dashboard)
        assert [browser.get("/sign-in/provider").status for _ in range(4)] == [303, 303, 303, 503]
        dashboard.clock.now += 600
        assert browser.get("/sign-in/provider").status == 303


def test_without_a_provider_there_is_none(browser: Any) -> None:
    """The page offers nothing that does not work."""
    assert "Sign in with" not in browser.get("/sign-in").text
    assert browser.get("/sign-in/provider").status == 404
    assert browser.get("/sign-in/callback").status == 404


def test_the_page_offers_it_by_its_name(asking: Any, openid: Any, browse: Any) -> None:
    """As the configuration calls it."""
    with asking(openid) as dashboard:
        assert "Sign in with Our forge" in browse(dashboard).get("/sign-in").text


def test_a_person_of_github_signs_in(asking: Any, github: Any, session: Any) -> None:
    """By number, with organizations as groups."""
    with asking(github, kind="github", admins=("group:acme",)) as dashboard:
        assert "/octo</strong>, admin," in session(dashboard, github)
        github.user["login"] = "renamed"
        assert "/renamed</strong>, admin," in session(dashboard, github)
        assert dashboard.count("people") == 1


@pytest.mark.parametrize("user", [{}, {"id": True, "login": "x"}, {"id": "1", "login": "x"}, {"id": 1}, []])
def test_an_odd_answer_of_github_is_nobody(asking: Any, github: Any, browse: Any, user: Any) -> None:
    """Not somebody with half a name."""
    github.user = user
    with asking(github, kind="github", viewers=("*",)) as dashboard:
        assert signed_in(browse(dashboard), github).status == 502


def test_a_code_that_github_does_not_take(asking: Any, github: Any, browse: Any) -> None:
    """It answers 200 to that."""
    with asking(github, kind="github", viewers=("*",)) as dashboard:
        browser = browse(dashboard)
        brought = github.allow(begun(browser))
        github.codes.clear()
        assert finished(browser, brought).status == 403


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[sign_in]\nkind = "oidc"', "sign_in"),
        ('[server]\npublic_url = "https://d.example"\n[sign_in]\nkind = "oidc"\nclient_id = "x"', "sign_in"),
        (
            '[server]\npublic_url = "https://d.example"\n'
            '[sign_in]\nkind = "oidc"\nclient_id = "x"\nclient_secret_file = "/s"',
            "sign_in",
        ),
        ('[sign_in]\nissuer = "http://git.example.org"', "sign_in.issuer"),
        ('[proxy]\nnetworks = ["10.0.0.0/33"]', "proxy.networks"),
        ('[proxy]\nnetworks = ["10.0.0.1/8"]', "proxy.networks"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(text: str, place: str) -> None:
    """When it is read, not when somebody wants to sign in."""
    with pytest.raises(ConfigError) as caught:
        config.decode(text.encode())
    assert place in str(caught.value)


def test_lists_come_from_the_environment_with_commas() -> None:
    """Containers have no files to write them in."""
    found = config.decode(b"", {
        "RUNNER_DASHBOARD_SIGN_IN_ADMINS": "alice, group:ops", "RUNNER_DASHBOARD_PROXY_NETWORKS": "10.0.0.0/8,::1/128",
        "RUNNER_DASHBOARD_PROXY_VIEWERS": "",
    })  # fmt: skip

    assert found.sign_in.admins == ("alice", "group:ops")
    assert found.proxy.networks == ("10.0.0.0/8", "::1/128")
    assert found.proxy.viewers == ()
    assert ("sign_in", "kind") in config.variables().values()
    assert SignInTable().rights.role("x", ()) is ProxyTable().rights.role("x", ()) is None


def test_a_list_of_nobody_is_remarked() -> None:
    """It is valid, and nobody can sign in."""
    found = config.decode(
        b'[server]\npublic_url = "https://d.example"\n[sign_in]\nkind = "github"\nclient_id = "x"\n'
        b'client_secret_file = "/s"'
    )

    assert any("lists nobody" in remark for remark in found.remarks())
