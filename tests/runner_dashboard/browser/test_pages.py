"""Every page of the route table: no error in the console, nothing for axe to say, nothing wider than a phone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from tests.runner_dashboard.browser.watched import DESKTOP, PHONE, Watched, signed_in

from runner_dashboard.web.routes import ROUTES
from runner_dashboard.web.templates import NAVIGATION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

ELSEWHERE = {"/live", "/sign-in/provider", "/sign-in/callback"}
"""What is no page to look at: the stream, and the ways through another service."""
PAGES = [spec.path for spec in ROUTES if (spec.method, spec.kind) == ("GET", "page") and spec.path not in ELSEWHERE]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def example(dashboard: Any, path: str) -> str | None:
    """Return an address of a page, with what is most to be seen there; None where there is nothing yet."""
    overview = dashboard.get("/api/v1/nodes?sort=trouble").json["nodes"]
    releases = dashboard.get("/api/v1/manifests").json["manifests"]
    known = {"node": [one["id"] for one in overview], "digest": [one["digest"] for one in releases]}
    for name in re.findall(r"{(\w+)}", path):
        if not known[name]:
            return None
        path = path.replace(f"{{{name}}}", known[name][0])
    return path


@pytest.fixture(scope="module", params=["fleet", "empty"])
def somebody(request: pytest.FixtureRequest, chromium: Browser) -> Iterator[tuple[Any, Watched]]:
    """Give a dashboard, and an administrator on it."""
    dashboard = request.getfixturevalue(request.param)
    context = chromium.new_context(viewport=DESKTOP)
    yield dashboard, signed_in(context, dashboard)
    context.close()


def complaints(page: Page) -> list[str]:
    """Return what axe finds wrong."""
    found = Axe().run(page, options={"resultTypes": ["violations"], **RULES}).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"][:3]]


def too_wide(page: Page) -> list[str]:
    """Return what reaches out of the window, where the whole page can be moved sideways."""
    found: list[str] = page.evaluate(
        """() => document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
             .filter((one) => one.getBoundingClientRect().right > innerWidth && !one.closest(".wide"))
             .map((one) => one.outerHTML.slice(0, 100))"""
    )
    return found


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_everybody(somebody: tuple[Any, Watched], path: str) -> None:
    """By axe's rules in light and dark, on a desk and on a phone, and without an error in the console."""
    dashboard, watched = somebody
    address = example(dashboard, path)
    if address is None:
        pytest.skip("there is nothing of the kind yet")
    watched.trouble.clear()
    page = watched.open(address)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    for viewport in (DESKTOP, PHONE):
        page.set_viewport_size(viewport)  # type: ignore[arg-type]
        assert too_wide(page) == []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert complaints(page) == [], f"{scheme}, {viewport}"
    if page.locator("[data-live]").count():
        expect(page.get_by_role("status")).to_have_text("Live")
    assert watched.trouble == []


def test_every_page_is_reached_from_the_menu(somebody: tuple[Any, Watched]) -> None:
    """Its entries lead where they say, and the one of this page says so."""
    _, watched = somebody
    page = watched.open("/")
    for path, title, *_ in NAVIGATION:
        page.get_by_role("navigation").get_by_role("link", name=title, exact=True).click()
        expect(page).to_have_url(watched.home + path)
        expect(page.locator("[aria-current=page]")).to_have_text(title)
