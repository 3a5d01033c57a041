"""What people do, done in a browser: start, sign in, enrol, watch, find, acknowledge, leave."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect
from tests.runner_dashboard.browser.watched import Watched

from runner_dashboard.demo.machine import Machine, Release
from runner_dashboard.identity.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import BrowserContext


def test_the_first_start_leads_to_an_empty_fleet(tmp_path: Path, new_context: Callable[..., BrowserContext]) -> None:
    """The token that is printed opens the dashboard, which says what to do first."""
    config = tmp_path / "dashboard.toml"
    config.write_text(f'state_dir = "{tmp_path}/state"\n[server]\nport = 0\n[log]\nform = "json"\nlevel = "info"\n')
    command = [sys.executable, "-m", "runner_dashboard", "serve", "--config", str(config)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        events = (json.loads(line) for line in process.stderr)
        address = next(one["address"] for one in events if one["event"] == "serving")
        printed = process.stdout.readline() + process.stdout.readline()
        watched = Watched(new_context().new_page(), address)
        (token,) = re.findall(r"ecd_\S+", printed)
        page = watched.sign_in(token)
        expect(page.get_by_role("heading", name="No node is enrolled yet")).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("Live")
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert watched.trouble == []


def test_who_must_sign_in_comes_back_to_where_they_were(
    dashboard: Any, new_context: Callable[..., BrowserContext]
) -> None:
    """A wrong token is said on the page; the right one leads on; after signing out nothing is shown."""
    watched = Watched(new_context().new_page(), f"http://127.0.0.1:{dashboard.port}", expected={401})
    page = watched.open("/outliers")
    expect(page).to_have_url(re.compile("/sign-in"))
    page.get_by_label("API token").fill("ecd_wrong")
    watched.press("Sign in")
    expect(page.get_by_role("alert")).to_contain_text("not accepted")
    page.get_by_label("API token").fill(dashboard.admin)
    watched.press("Sign in")
    expect(page.get_by_role("heading", level=1)).to_have_text("Outliers")
    watched.press("Sign out")
    expect(page.get_by_label("API token")).to_be_focused()
    watched.open("/nodes")
    expect(page).to_have_url(re.compile("/sign-in"))
    assert watched.trouble == []


def test_a_node_is_enrolled_by_a_one_time_token_and_its_report_arrives_live(
    visit: Callable[..., Watched], dashboard: Any, machine: Machine
) -> None:
    """Two pages are open while it reports; neither is loaded again."""
    watched = visit()
    page = watched.open("/enrolment")
    page.get_by_label("Name of the node").fill("studio")
    watched.press("Make a one-time token")
    token = page.get_by_label("New token").locator(".secret").inner_text()
    page = watched.open("/nodes")
    expect(page.get_by_text("No node is enrolled yet")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Live")
    loads = watched.loads
    assert dashboard.send(machine.sign(machine.passed(dashboard.clock.now)), token=token).status == 201

    expect(page.get_by_role("row", name="studio")).to_contain_text("passed")
    assert watched.loads == loads
    page.get_by_role("link", name="studio").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("studio")
    expect(page.get_by_role("status")).to_have_text("Live")
    altered = machine.altered(machine.passed(dashboard.clock.now), 3, "a back door")
    assert dashboard.send(machine.sign(altered)).status == 201
    expect(page.locator(".lead")).to_contain_text("failed")
    expect(page.locator(".findings")).to_contain_text("EV201")


def test_a_node_that_knocks_appears_and_is_approved(
    visit: Callable[..., Watched], dashboard: Any, machine: Machine
) -> None:
    """Its key is shown to be compared; approved, it reports."""
    watched = visit()
    page = watched.open("/enrolment")
    expect(page.get_by_role("status")).to_have_text("Live")
    envelope = machine.sign(machine.passed(dashboard.clock.now))
    assert dashboard.send(envelope).status == 403
    expect(page.locator("#waiting")).to_contain_text("runner-1")
    page.locator("#waiting").get_by_label("Name").fill("Oslo, rack 3")
    watched.press("Approve")

    expect(page.get_by_text("No node waits")).to_be_visible()
    assert dashboard.send(envelope).status == 201
    watched.open("/nodes")
    expect(page.get_by_role("row", name="Oslo, rack 3")).to_contain_text("calls itself runner-1")


def test_an_outlier_is_found_and_its_finding_acknowledged(visit: Callable[..., Watched], dashboard: Any) -> None:
    """From the page of those that differ to the node, and to a word on who knows of it."""
    machines = [Machine(f"runner-{number}", Release(1)) for number in range(4)]
    for machine in machines:
        dashboard.enrol(machine)
        report = machine.passed(dashboard.clock.now)
        report = machine.altered(report, 5, "other") if machine is machines[2] else report
        assert dashboard.send(machine.sign(report)).status == 201
    watched = visit()
    page = watched.open("/outliers")
    expect(page.get_by_role("row", name="1 of 4")).to_contain_text("runner-2")
    page.get_by_role("row", name="1 of 4").get_by_role("link", name="runner-2").click()
    page.get_by_role("link", name="Acknowledge EV201").click()
    expect(page.get_by_label("Code")).to_have_value("EV201")
    page.get_by_label("Owner").fill("storage team")
    page.get_by_label("Why it may stay").fill("the disk is on its way")
    watched.press("Acknowledge")
    expect(page.get_by_role("row", name="EV201")).to_contain_text("storage team")

    watched.open("/")
    expect(page.get_by_text("None that fails or warns")).to_be_visible()
    watched.open("/nodes")
    page.get_by_role("link", name="runner-2").click()
    expect(page.locator(".findings")).to_contain_text("known to storage team")
    expect(page.locator(".lead")).to_contain_text("failed")


def test_a_viewer_is_offered_no_pause_and_an_operator_is(
    asking: Any, forges: Any, new_context: Callable[..., BrowserContext]
) -> None:
    """And refused it when they send the form all the same."""
    home = f"http://127.0.0.1:{asking.port}"
    viewer = Watched(new_context().new_page(), home, expected={403})
    page = viewer.sign_in(asking.post("/api/v1/tokens", {"name": "v", "role": "viewer"}).json["token"])
    viewer.open("/runners")
    expect(page.get_by_role("row", name="riga-1")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Pause|Resume"))).to_have_count(0)
    expect(page.get_by_role("link", name="Enrolment")).to_have_count(0)
    page.evaluate("document.querySelector('.session').action = '/runners/gitlab/70/pause'")
    viewer.press("Sign out")
    expect(page.get_by_text("this needs the role operator")).to_be_visible()
    assert forges.changed == []

    operator = Watched(new_context().new_page(), home)
    page = operator.sign_in(asking.post("/api/v1/tokens", {"name": "o", "role": "operator"}).json["token"])
    operator.open("/runners")
    operator.press("Pause riga-1")
    expect(page.get_by_role("button", name="Resume riga-1")).to_be_visible()
    assert ["/api/v4/runners/70"] == [path for path, _ in forges.changed]
    assert viewer.trouble + operator.trouble == []


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_nobody_is_offered_what_they_may_not_do(
    visit: Callable[..., Watched], dashboard: Any, machine: Machine, token_of: Callable[[Role], str], role: Role
) -> None:
    """Neither in the menu nor on the page of a node."""
    dashboard.enrol(machine)
    watched = visit(token_of(role))
    page = watched.open("/nodes")
    page.get_by_role("link", name=machine.name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(machine.name)

    may_enrol = int(role >= Role.OPERATOR)
    expect(page.get_by_role("button", name="Retire this node")).to_have_count(may_enrol)
    expect(page.get_by_role("link", name="Enrolment")).to_have_count(may_enrol)
    expect(page.get_by_role("link", name="Audit")).to_have_count(0)
    watched.expected.add(403)
    watched.open("/audit")
    expect(page.get_by_text("this needs the role admin")).to_be_visible()
