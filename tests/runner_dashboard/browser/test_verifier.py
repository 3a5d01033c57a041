"""A real verifier on a real store, a real server, and the page that shows it; then attacks with the same report."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.runner_dashboard.browser.watched import Watched

    from ec_verify.demo.lab import Lab

pytestmark = [pytest.mark.nix, pytest.mark.root]


def test_a_real_report_is_shown_and_attacks_with_it_are_refused(
    lab: Lab, request: pytest.FixtureRequest, dashboard: Any, visit: Callable[..., Watched]
) -> None:
    """It appears on the open page; altered, of nobody, and oversized it is refused, and the audit's page says so."""
    node = lab.clone_node(request.node.name[-50:])
    watched = visit()
    page = watched.open("/nodes")
    expect(page.get_by_role("status")).to_have_text("Live")
    loads = watched.loads
    token = node.directory / "token"
    token.write_text(dashboard.post("/api/v1/enrolments", {"name": "the lab's node"}).json["token"])
    report = {"url": f"http://127.0.0.1:{dashboard.port}", "token_file": str(token)}
    node.configure(lab.server.url, report=report)
    result = lab.verify(node, "--level", "bytes")
    assert (0, "passed") == (result.exit, result.verdict), result.stderr

    expect(page.get_by_role("row", name="the lab's node")).to_contain_text("passed")
    assert watched.loads == loads
    page.get_by_role("link", name="the lab's node").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("the lab's node")
    expect(page.locator("#live")).to_contain_text(node.release.manifest.release.tag)

    (kept,) = (node.state / "reports").glob("*.report.json")
    assert dashboard.send(kept.read_bytes()).status == 208
    altered, nobody, large = (json.loads(kept.read_bytes()) for _ in range(3))
    payload = base64.b64decode(altered["payload"]).replace(b'"passed"', b'"failed"')
    altered["payload"] = base64.b64encode(payload).decode()
    nobody["signatures"] = [{"keyid": "0" * 64, "sig": one["sig"]} for one in nobody["signatures"]]
    large["payload"] = base64.b64encode(bytes(1 << 20)).decode()
    refused = [
        (answer.status, answer.code)
        for document in (altered, nobody, large)
        if (answer := dashboard.send(json.dumps(document).encode()))
    ]
    assert [(422, "report.signature"), (403, "node.unknown"), (413, "too-large")] == refused
    assert dashboard.count("reports") == 1
    watched.open("/audit")
    for status, code in refused:
        expect(page.get_by_role("row", name=f"{status} {code}")).to_contain_text("refused")
