"""The provider that the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner_dashboard.config import read_file
from runner_dashboard.errors import ConfigError
from runner_dashboard.identity.providers.github import GitHubProvider
from runner_dashboard.identity.providers.oidc import OpenIdProvider
from runner_dashboard.identity.providers.remote import Remote

if TYPE_CHECKING:
    from runner_dashboard.config import SignInTable
    from runner_dashboard.identity.providers.provider import Provider

_MAX_SECRET = 4096


def provider(table: SignInTable) -> Provider | None:
    """Return the provider of *table*, None for none. Nothing is asked yet. Raises `ConfigError` for a bad file."""
    if table.kind == "none":
        return None
    secret = read_file(Path(table.client_secret_file), _MAX_SECRET).decode(errors="replace").strip()
    if not secret or not secret.isascii() or not secret.isprintable():
        raise ConfigError(
            "holds no client secret", place=table.client_secret_file, hint="one line, as the provider shows it"
        )
    kind = OpenIdProvider if table.kind == "oidc" else GitHubProvider
    return kind(table, secret, Remote())
