"""The system's Chromium, without a window, and dashboards to look at with it."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect
from tests.chromium import PATIENCE, launched
from tests.runner_dashboard.browser.watched import DESKTOP, Seeded, Watched, signed_in

from runner_dashboard.alarms.watch import Watch
from runner_dashboard.config import Config, DatabaseTable, ServerTable
from runner_dashboard.demo import fleet as simulated
from runner_dashboard.identity import tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runner_dashboard.identity.roles import Role

FLEET = 100
"""Nodes: the fewest of which one was altered."""
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Give a browser for a module: its loop must not run while tests of other modules use theirs."""
    with launched() as found:
        yield found


@pytest.fixture
def new_context(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Give a function that returns a browser without cookies, on a desk unless told otherwise."""
    with ExitStack() as stack:

        def make(**options: Any) -> BrowserContext:
            found = chromium.new_context(**{"viewport": DESKTOP, **options})
            found.set_default_timeout(PATIENCE)
            stack.callback(found.close)
            return found

        yield make


@pytest.fixture
def storage() -> DatabaseTable:
    """Give the default: a browser sees nothing of the database."""
    return DatabaseTable()


@pytest.fixture
def visit(new_context: Callable[..., BrowserContext], dashboard: Any) -> Iterator[Callable[..., Watched]]:
    """Give a function that signs somebody in with a token; at the end, nothing must have gone wrong on their pages."""
    pages: list[Watched] = []

    def sign_in(token: str | None = None, **options: Any) -> Watched:
        pages.append(signed_in(new_context(**options), dashboard, token))
        return pages[-1]

    yield sign_in
    assert [] == [trouble for page in pages for trouble in page.trouble]


@pytest.fixture
def token_of(dashboard: Any) -> Callable[[Role], str]:
    """Give a function that makes a token of a role."""

    def make(role: Role) -> str:
        made = dashboard.services.database.write(
            lambda connection: tokens.create(
                connection, dashboard.services.now, name=f"a {role.word}", role=role, scopes=None, by="test"
            )
        )
        return str(made.render())

    return make


@pytest.fixture(scope="session")
def serve_pages(tmp_path_factory: pytest.TempPathFactory, serve_config: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that serves a dashboard that tests share: they look at it and change nothing."""

    @contextmanager
    def serve(nodes: int) -> Iterator[Any]:
        state = str(tmp_path_factory.mktemp("state"))
        with serve_config(Config(state_dir=state, server=ServerTable(port=0, grace=5))) as found:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(simulated, "Machine", Seeded)
                if nodes:
                    simulated.populate(found.services, nodes, found.clock.now)
                    Watch(found.services).step()
                    known = {"code": "EV104", "owner": "network team", "reason": "the link to Lima is being replaced"}
                    assert found.post("/api/v1/acknowledgements", known).status == 201
            yield found

    return serve


@pytest.fixture(scope="session")
def fleet(serve_pages: Callable[..., Any]) -> Iterator[Any]:
    """Give a dashboard with a simulated fleet, the same every time."""
    with serve_pages(FLEET) as found:
        yield found


@pytest.fixture(scope="session")
def empty(serve_pages: Callable[..., Any]) -> Iterator[Any]:
    """Give a dashboard to which nothing has ever been sent."""
    with serve_pages(0) as found:
        yield found


@pytest.fixture(scope="session")
def images() -> Path | None:
    """Return where screenshots go, None where none are wanted: `EC_SCREENSHOTS` names the directory."""
    name = os.environ.get("EC_SCREENSHOTS")
    return Path(name) if name else None
