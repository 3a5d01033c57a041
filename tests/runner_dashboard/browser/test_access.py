"""By keyboard alone, with a passkey, and while the server goes and comes back."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect
from tests.runner_dashboard.browser.watched import PHONE, Watched, signed_in

from runner_dashboard.config import Config, ServerTable
from runner_dashboard.web.templates import NAVIGATION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import BrowserContext, Page

FOCUSED = "document.activeElement.textContent.trim() || document.activeElement.name"


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def tabbed(page: Page, times: int) -> list[str]:
    """Press the key Tab, and return what has the focus each time."""
    found = []
    for _ in range(times):
        page.keyboard.press("Tab")
        found.append(page.evaluate(FOCUSED))
    return found


def test_everything_is_reached_by_keyboard(dashboard: Any, new_context: Callable[..., BrowserContext]) -> None:
    """Signed in without a mouse; first the way past the menu, then the menu in the order in which it is read."""
    watched = Watched(new_context().new_page(), f"http://127.0.0.1:{dashboard.port}")
    page = watched.open("/sign-in")
    page.keyboard.type(dashboard.admin)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")

    assert ["Skip to the content"] == tabbed(page, 1)
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    titles = [title for _, title, *_ in NAVIGATION]
    assert ["Runner dashboard", "Sign out", *titles] == tabbed(page, 2 + len(titles))
    watched.open("/nodes")
    tabbed(page, 1)
    page.keyboard.press("Enter")
    assert ["q"] == tabbed(page, 1)
    page.keyboard.type("nowhere")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No node matches")).to_be_visible()
    assert watched.trouble == []


def test_what_has_the_focus_is_seen(fleet: Any, new_context: Callable[..., BrowserContext]) -> None:
    """By a line around it, in light and dark."""
    for scheme in ("light", "dark"):
        page = signed_in(new_context(color_scheme=scheme), fleet).page
        tabbed(page, 3)
        (style, width) = page.evaluate(
            "(() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth] })()"
        )
        assert (style, width) == ("solid", "3px")


def test_colours_follow_the_browser(fleet: Any, new_context: Callable[..., BrowserContext]) -> None:
    """Without a switch of our own."""
    page = signed_in(new_context(color_scheme="dark"), fleet).page
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.emulate_media(color_scheme="light")

    assert (dark, page.evaluate(colour)) == ("rgb(16, 21, 27)", "rgb(246, 247, 249)")


def test_a_phone_shows_the_fleet(fleet: Any, new_context: Callable[..., BrowserContext]) -> None:
    """With a finger: the menu, a filter, and a node."""
    context = new_context(viewport=PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
    watched = signed_in(context, fleet)
    page = watched.page
    page.get_by_role("navigation").get_by_role("link", name="Nodes").tap()
    page.get_by_label("Verdict").select_option("failed")
    page.get_by_role("button", name="Show").tap()
    expect(page.get_by_text("4 nodes match").first).to_be_visible()
    page.get_by_role("link", name="berlin-096").tap()
    expect(page.get_by_role("heading", level=1)).to_have_text("berlin-096")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert watched.trouble == []


def test_a_passkey_is_made_and_signs_in(
    tmp_path: Path, serve_config: Callable[..., Any], new_context: Callable[..., BrowserContext]
) -> None:
    """By an authenticator of Chromium's; without it the browser says so, and nobody is let in."""
    port = free_port()
    home = f"http://localhost:{port}"
    config = Config(state_dir=str(tmp_path / "state"), server=ServerTable(port=port, public_url=home, grace=5))
    with serve_config(config) as dashboard:
        watched = Watched(new_context().new_page(), home)
        page = watched.page
        devtools = page.context.new_cdp_session(page)
        devtools.send("WebAuthn.enable")
        options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
                   "isUserVerified": True, "automaticPresenceSimulation": True}  # fmt: skip
        made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        watched.sign_in(dashboard.admin)
        watched.open("/settings")
        page.get_by_label("What you call it").fill("the key on my desk")
        watched.press("Make a passkey")
        expect(page.get_by_role("row", name="the key on my desk")).to_be_visible()
        watched.press("Sign out")
        watched.press("Sign in with a passkey")
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        expect(page.locator(".session")).to_contain_text("bootstrap (admin)")
        watched.press("Sign out")
        unverified = {"authenticatorId": made["authenticatorId"], "isUserVerified": False}
        devtools.send("WebAuthn.setUserVerified", unverified)
        watched.press("Sign in with a passkey")
        expect(page.get_by_role("alert")).to_have_text("The browser gave no passkey.")
        assert watched.trouble == []


def test_a_page_is_live_again_after_the_server_was(
    tmp_path: Path, serve_config: Callable[..., Any], new_context: Callable[..., BrowserContext], machine: Any
) -> None:
    """It says that it is not while it is not, and shows what it missed, without having been loaded again."""
    state = str(tmp_path / "state")
    with serve_config(Config(state_dir=state, server=ServerTable(port=0, grace=5))) as dashboard:
        watched = signed_in(new_context(), dashboard)
        page = watched.open("/nodes")
        expect(page.get_by_role("status")).to_have_text("Live")
        loads = watched.loads
    expect(page.get_by_role("status")).to_have_text(re.compile("^Not live"))
    trouble = list(watched.trouble)
    config = Config(state_dir=state, server=ServerTable(port=dashboard.port, grace=5))
    with serve_config(config, dashboard.admin) as again:
        again.enrol(machine)
        expect(page.get_by_role("status")).to_have_text("Live")
        expect(page.get_by_role("row", name=machine.name)).to_be_visible()
    assert watched.loads == loads
    assert trouble == []
