"""What a request needs besides itself: made once when the dashboard starts."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from anyio import CapacityLimiter

from runner_dashboard.config import read_file
from runner_dashboard.errors import ConfigError
from runner_dashboard.forges.inventory import Inventory
from runner_dashboard.identity import tokens
from runner_dashboard.identity.keys import SigningKeys
from runner_dashboard.identity.owners import Owners
from runner_dashboard.identity.passkeys import Passkeys
from runner_dashboard.identity.providers import choose
from runner_dashboard.identity.proxy import Proxy
from runner_dashboard.identity.secrets import API, Secret
from runner_dashboard.identity.sessions import Sessions
from runner_dashboard.ingest.limits import Rates, Room
from runner_dashboard.ingest.nonce import Nonces
from runner_dashboard.ops.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner_dashboard.config import Config
    from runner_dashboard.data.database import Database
    from runner_dashboard.events.bus import Bus
    from runner_dashboard.identity.providers.provider import Provider

_MAX_TOKEN_FILE = 4096
_JUDGING = 8


@dataclass(frozen=True)
class Services:
    """Configuration, database, and what lives in memory. *clock* returns seconds since 1970."""

    config: Config
    database: Database
    clock: Callable[[], float] = time.time
    counters: Counters = field(default_factory=Counters)

    @property
    def bus(self) -> Bus:
        """Events of everything that is committed."""
        return self.database.bus

    @cached_property
    def started(self) -> int:
        """When this was first asked: at the start."""
        return self.now

    @property
    def now(self) -> int:
        """Seconds since 1970."""
        return int(self.clock())

    @cached_property
    def keys(self) -> SigningKeys:
        """The keys that sign sessions and nonces."""
        longest = max(self.config.identity.session_lifetime, self.config.ingest.nonce_lifetime)
        return SigningKeys(self.database, longest)

    @cached_property
    def sessions(self) -> Sessions:
        """Sessions of browsers."""
        return Sessions(self.keys, self.config.identity.session_lifetime)

    @cached_property
    def provider(self) -> Provider | None:
        """The service that says who people are. Raises `ConfigError`."""
        return choose.provider(self.config.sign_in)

    @cached_property
    def owners(self) -> Owners:
        """Whose sessions and passkeys are."""
        key = "" if self.provider is None else self.provider.key
        return Owners(key, urlsplit(key).netloc, self.config.sign_in.rights)

    @cached_property
    def proxy(self) -> Proxy:
        """What stands in front, and may say who people are."""
        return Proxy(self.config.proxy)

    @cached_property
    def passkeys(self) -> Passkeys:
        """Passkeys for where browsers see us."""
        return Passkeys(self.config.server.public_url)

    @cached_property
    def inventory(self) -> Inventory:
        """Runners of CI. Raises `ConfigError`."""
        return Inventory(self.config)

    @cached_property
    def nonces(self) -> Nonces:
        """Nonces of nodes."""
        return Nonces(self.keys, self.config.ingest.nonce_lifetime)

    @cached_property
    def rates(self) -> Rates:
        """How often nodes report."""
        return Rates(self.config.ingest.reports_per_minute, self.config.ingest.burst)

    @cached_property
    def room(self) -> Room:
        """Room for the bodies of reports."""
        return Room(self.config.ingest.in_flight << 20)

    @cached_property
    def judging(self) -> CapacityLimiter:
        """How many reports are verified at one time: pages must not wait for threads."""
        return CapacityLimiter(_JUDGING)

    def begin(self) -> Secret | None:
        """See to it that somebody can sign in; return a token that was made for that and must be shown.

        Raises `ConfigError` for a token file that holds none, and what the database raises.
        """
        _ = self.started, self.nonces, self.sessions, self.rates, self.room, self.owners, self.proxy, self.passkeys
        _ = self.inventory
        given = _token_file(self.config)
        return self.database.write(lambda connection: tokens.bootstrap(connection, self.now, given))


def _token_file(config: Config) -> Secret | None:
    name = config.identity.bootstrap_token_file
    if not name:
        return None
    text = read_file(Path(name), _MAX_TOKEN_FILE).decode(errors="replace").strip()
    secret = Secret.parse(text, API)
    if secret is None:
        raise ConfigError(
            "holds no API token",
            place=name,
            hint="`runner-dashboard token generate` prints one",
        )
    return secret
