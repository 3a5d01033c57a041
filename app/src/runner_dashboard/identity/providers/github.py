"""GitHub, or a GitHub Enterprise server: OAuth 2.0 with PKCE, and its API for who somebody is. It has no ID tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runner_dashboard.identity.people import MAX_GROUPS, Known, clipped
from runner_dashboard.identity.providers.provider import with_query
from runner_dashboard.refusals import ProviderError, SignInError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner_dashboard.config import SignInTable
    from runner_dashboard.identity.providers.provider import Attempt
    from runner_dashboard.identity.providers.remote import Remote

HOME: Final = "https://github.com"
_SCOPES: Final = "read:user read:org"


class GitHubProvider:
    """GitHub at `issuer` of *table*, or github.com. Implements `Provider`. Groups are organizations."""

    def __init__(self, table: SignInTable, secret: str, remote: Remote) -> None:
        self._table = table
        self._secret = secret
        self._remote = remote
        self._home = table.issuer.rstrip("/") or HOME
        self._api = "https://api.github.com" if self._home == HOME else f"{self._home}/api/v3"

    @property
    def key(self) -> str:
        """What people of it are filed under."""
        return self._home

    @property
    def title(self) -> str:
        """What it is called on the page."""
        return self._table.name or "GitHub"

    def address(self, attempt: Attempt, state: str, now: int) -> str:  # noqa: ARG002 - nothing here has a time
        """Return where the browser is sent."""
        return with_query(
            f"{self._home}/login/oauth/authorize",
            {
                "client_id": self._table.client_id,
                "redirect_uri": attempt.redirect,
                "scope": _SCOPES,
                "state": state,
                "code_challenge": attempt.challenge,
                "code_challenge_method": "S256",
            },
        )

    def known(self, attempt: Attempt, answer: Mapping[str, str], now: int) -> Known:  # noqa: ARG002 - nothing here has a time
        """Return who signed in. Raises `ProviderError` or `SignInError`."""
        tokens = self._remote.post(
            f"{self._home}/login/oauth/access_token",
            {
                "client_id": self._table.client_id,
                "client_secret": self._secret,
                "code": answer.get("code", ""),
                "redirect_uri": attempt.redirect,
                "code_verifier": attempt.verifier,
            },
        )
        access = tokens.get("access_token") if isinstance(tokens, dict) else None
        if not isinstance(access, str) or not access.isascii() or not access.isprintable():
            # GitHub answers 200 also when it refuses.
            raise SignInError("GitHub took the code for none of ours", hint="begin again")
        user = self._remote.get(f"{self._api}/user", bearer=access)
        number = user.get("id") if isinstance(user, dict) else None
        login = clipped(user.get("login"), "login") if isinstance(user, dict) else None
        if not isinstance(number, int) or isinstance(number, bool) or login is None:
            raise ProviderError("GitHub does not say who it is", place=self._api)
        return Known(str(number), login, clipped(user.get("name"), "name") or login, self._organizations(access))

    def _organizations(self, access: str) -> tuple[str, ...]:
        found: Any = self._remote.get(f"{self._api}/user/orgs?per_page=100", bearer=access)
        names = (
            [clipped(one.get("login"), "group") for one in found if isinstance(one, dict)]
            if isinstance(found, list)
            else []
        )
        return tuple(name for name in names[:MAX_GROUPS] if name)
