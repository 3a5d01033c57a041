"""A page of a browser that remembers what went wrong on it, and a fleet that is the same every time."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from runner_dashboard.demo.machine import Machine, Release

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response

DESKTOP: Mapping[str, int] = {"width": 1280, "height": 800}
PHONE: Mapping[str, int] = {"width": 360, "height": 740}
PERSON = "a person"


class Seeded(Machine):
    """A machine whose key and boots follow from its name."""

    def __init__(self, name: str, release: Release) -> None:
        self.boots = 0
        key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
        super().__init__(name, release, signer=CryptoSigner(key), boot_id=self._boot_id(name))

    def boot(self) -> None:
        """Boot again."""
        self.boots += 1
        self.boot_id = self._boot_id(self.name)

    def _boot_id(self, name: str) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {self.boots}"))


@dataclass
class Watched:
    """A *page* of the dashboard at *home*. *trouble* is every error of a script and every request that failed.

    A status from *expected* is no trouble.
    """

    page: Page
    home: str
    expected: set[int] = field(default_factory=set)
    trouble: list[str] = field(default_factory=list)
    loads: int = 0

    def __post_init__(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)
        self.page.on("load", self._loaded)

    def open(self, path: str) -> Page:
        """Load a page of the dashboard."""
        self.page.goto(self.home + path)
        return self.page

    def sign_in(self, token: str) -> Page:
        """Sign in with a token, as people do."""
        self.open("/sign-in")
        self.page.get_by_label("API token").fill(token)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.get_by_role("button", name="Sign out").wait_for()
        return self.page

    def press(self, button: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=button, exact=True).click()

    def _loaded(self, _: Page) -> None:
        self.loads += 1

    def _said(self, message: ConsoleMessage) -> None:
        # A failed request is told by its response, below, with the status.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.trouble.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        # The stream ends with the page that it was for.
        if urlsplit(request.url).path != "/live":
            self.trouble.append(f"{request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.trouble.append(f"{response.request.method} {response.url}: {response.status}")


def signed_in(context: BrowserContext, dashboard: Any, token: str | None = None) -> Watched:
    """Return a new page of somebody who has signed in."""
    found = Watched(context.new_page(), f"http://127.0.0.1:{dashboard.port}")
    found.sign_in(token or dashboard.admin)
    return found
