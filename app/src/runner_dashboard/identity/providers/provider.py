"""What a service that says who people are must offer. The authorization code flow with PKCE (RFC 6749, RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner_dashboard.identity.people import Known


@dataclass(frozen=True)
class Attempt:
    """One sign-in that was begun: what only we and (of *nonce*) the service know, and where it sends back to."""

    redirect: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls, redirect: str) -> Attempt:
        """Begin one."""
        return cls(redirect, secrets.token_urlsafe(32), secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """What the service sees of *verifier* before it is shown."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Provider(Protocol):
    """A service. Methods raise `ProviderError` when it fails, `SignInError` when it does not say who somebody is."""

    @property
    def key(self) -> str:
        """What people of it are filed under; another service, another key."""
        ...

    @property
    def title(self) -> str:
        """What it is called on the page."""
        ...

    def address(self, attempt: Attempt, state: str, now: int) -> str:
        """Return where the browser is sent."""
        ...

    def known(self, attempt: Attempt, answer: Mapping[str, str], now: int) -> Known:
        """Return who signed in, from what the browser brought back in *answer* (which holds a `code`)."""
        ...


def with_query(address: str, values: Mapping[str, str]) -> str:
    """Return *address* with *values* after what it asks already."""
    return f"{address}{'&' if '?' in address else '?'}{urlencode(values)}"
