"""Runners of CI: what three kinds of forges say, what happens when they do not, and who may pause."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.runner_dashboard.forges import TOKEN, Forges

from runner_dashboard import config
from runner_dashboard.config import ForgeTable
from runner_dashboard.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def listed(dashboard: Any) -> dict[str, list[tuple[str, str, bool | None]]]:
    """Return name, status and whether it is paused of each runner, by forge."""
    return {
        one["forge"]: [(runner["name"], runner["status"], runner["paused"]) for runner in one["runners"]]
        for one in dashboard.get("/api/v1/runners").json["forges"]
    }


def test_three_forges_are_told_in_the_same_words(asking: Any, forges: Forges) -> None:
    """Each asked in its own way, with the token of its file; those that are offline stand first."""
    assert listed(asking) == {
        "forgejo": [("oslo-2", "offline", None), ("oslo-1", "busy", None)],
        "github": [("lima-1", "idle", None)],
        "gitlab": [("riga-2", "offline", True), ("riga-1", "idle", False)],
    }
    assert forges.tokens == {f"token {TOKEN}", f"Bearer {TOKEN}", TOKEN}


def test_forges_are_asked_at_most_twice_a_minute(asking: Any, forges: Forges) -> None:
    """However many look."""
    listed(asking)
    asked = len(forges.asked)
    listed(asking)
    assert len(forges.asked) == asked
    asking.clock.now += 30
    listed(asking)
    assert len(forges.asked) == 2 * asked


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, b"", "token was refused"),
        (403, b"", "may not do this"),
        (404, b"", "see url and scope"),
        (500, b"", "answered 500"),
        (302, b"", "answered 302"),
        (299, b"x", "no JSON"),
        (200, b"<html>", "no JSON"),
        (200, b'{"message": "x"}', "no list"),
        (200, b" " * (5 << 20), "too much"),
        (200, b'[{"id": 1, "id": 2}]', "no JSON"),
    ],
)
def test_a_forge_that_fails_hides_none_of_the_others(
    asking: Any, forges: Forges, status: int, body: bytes, said: str
) -> None:
    """Its error stands in its place, without the token."""
    forges.faults["/api/v1/orgs/acme/actions/runners"] = (status, body)
    (one,) = (one for one in asking.get("/api/v1/runners").json["forges"] if one["forge"] == "forgejo")

    assert said in one["error"]
    assert TOKEN not in json.dumps(one)
    assert len(listed(asking)["gitlab"]) == 2


def test_a_forge_that_is_away(asking: Any, forges: Forges) -> None:
    """Nothing hangs."""
    forges.server.server_close()
    found = asking.get("/api/v1/runners").json["forges"]

    assert all("cannot be reached" in one["error"] for one in found)


def test_odd_rows_are_shown_as_far_as_they_go(asking: Any, forges: Forges) -> None:
    """A forge of tomorrow may say more, or less."""
    forges.pages["/api/v1/orgs/acme/actions/runners"] = [{}, "x", {"name": 7, "status": "asleep", "labels": "no"}]

    assert listed(asking)["forgejo"] == [("", "unknown", None), ("", "unknown", None)]


def test_a_list_without_an_end_is_cut(asking: Any, forges: Forges) -> None:
    """A server that answers every page with a full one is not asked for ever."""
    path = "/api/v1/orgs/acme/actions/runners"
    forges.faults[path] = (200, json.dumps([{"id": 1, "name": "again"}]).encode())

    assert len(listed(asking)["forgejo"]) == 20
    assert forges.asked.count(path) == 20


def test_an_operator_pauses_and_resumes_where_the_forge_can(asking: Any, forges: Forges) -> None:
    """And it is in the audit, with who did it."""
    listed(asking)
    assert asking.post("/api/v1/runners/gitlab/70/pause", {}).status == 200
    assert listed(asking)["gitlab"][1] == ("riga-1", "idle", True)
    assert asking.post("/api/v1/runners/gitlab/70/resume", {}).status == 200

    assert forges.changed == [("/api/v4/runners/70", {"paused": [word]}) for word in ("true", "false")]
    assert asking.count("audit", "action IN ('runner.pause', 'runner.resume') AND subject = 'gitlab 70'") == 2


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("forgejo/1/pause", 409),
        ("github/7/pause", 409),
        ("gitlab/999/pause", 404),
        ("gitlab/70%2F..%2F71/pause", 404),
        ("elsewhere/1/pause", 404),
    ],
)
def test_what_cannot_be_paused_is_not(asking: Any, forges: Forges, path: str, status: int) -> None:
    """The forge cannot, or this page is not about that runner, whatever the token may."""
    listed(asking)
    assert asking.post(f"/api/v1/runners/{path}", {}).status == status
    assert forges.changed == []


def test_a_pause_that_the_forge_refuses_is_said(asking: Any, forges: Forges) -> None:
    """502, and no entry that it was done."""
    listed(asking)
    forges.faults["/api/v4/runners/70"] = (403, b"")

    assert asking.post("/api/v1/runners/gitlab/70/pause", {}).status == 502
    assert asking.count("audit", "action = 'runner.pause'") == 0


def test_a_viewer_is_offered_no_pause_and_refused_one(asking: Any, browse: Any, forges: Forges) -> None:
    """The page shows runners to everybody who may read."""
    viewer = browse(asking)
    viewer.sign_in(asking.post("/api/v1/tokens", {"name": "v"}).json["token"])
    page = viewer.get("/runners").text
    assert "riga-1" in page
    assert ">Pause" not in page
    sent = viewer.send("/runners/gitlab/70/pause", {"form_value": viewer.form_value("/")})

    assert sent.status == 403
    assert forges.changed == []
    operator = browse(asking)
    operator.sign_in(asking.admin)
    value = operator.form_value("/runners")
    assert operator.send("/runners/gitlab/70/pause", {"form_value": value}).status == 303


def test_without_a_forge_the_page_says_what_to_do(browser: Any) -> None:
    """No invented runner is shown."""
    text = browser.get("/runners").text

    assert "No forge is configured" in text
    assert browser.dashboard.get("/api/v1/runners").json == {"forges": []}


def test_half_a_configuration_is_refused(serve: Any, tmp_path: Path) -> None:
    """When it is read; an empty token at the start."""
    with pytest.raises(ConfigError, match="token_file"):
        config.decode(b'[gitlab]\nscope = "group:acme"\nurl = "https://gitlab.example.org"')
    (tmp_path / "empty").write_text("\n")
    with (
        pytest.raises(ConfigError, match="no token"),
        serve(github=ForgeTable(scope="acme", token_file=str(tmp_path / "empty"))),
    ):
        pass
