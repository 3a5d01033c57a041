"""Options that several subcommands share, and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path  # noqa: TC003 - cyclopts reads annotations at run time
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_netboot import config as configuration
from ec_netboot import logs
from ec_netboot.release import Platform
from ec_netboot.state import State

if TYPE_CHECKING:
    from ec_netboot.config import Config


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    config: Annotated[Path | None, Parameter(help="The configuration [/etc/ec-netboot/netboot.toml].")] = None
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], help="Say more.", negative=())] = False

    def load(self) -> Config:
        """Read the configuration and set up logs. Raises `ConfigError`."""
        logs.configure(verbose=self.verbose)
        return configuration.load(self.config)


DEFAULTS = Common()

OnePlatform = Annotated[Platform | None, Parameter(help="Which platform, where several are configured.")]


def state_of(config: Config) -> State:
    """Return the state directory."""
    return State(config.state)


def platforms_of(config: Config, platform: Platform | None) -> tuple[Platform, ...]:
    """Return the platforms that are meant: *platform*, or all. Raises `UsageError` for one that is not configured."""
    if platform is None:
        return config.platforms
    if platform not in config.platforms:
        raise UsageError(f"{platform} is not among `platforms` in netboot.toml")
    return (platform,)


def one_platform(config: Config, platform: Platform | None) -> Platform:
    """Return the one platform that is meant. Raises `UsageError` where there are several and none is named."""
    chosen = platforms_of(config, platform)
    if len(chosen) > 1:
        raise UsageError("several platforms are configured", hint="name one: --platform")
    return chosen[0]


def now(time: str | None) -> datetime:
    """Return the time that *time* names (ISO 8601 with a zone), or now. Raises `UsageError`."""
    if time is None:
        return datetime.now(UTC)
    try:
        found = datetime.fromisoformat(time)
    except ValueError as error:
        raise UsageError(f"--time {time!r}: {error}", hint="write 2026-11-20T21:00:00Z") from error
    if found.tzinfo is None:
        raise UsageError(f"--time {time!r} has no time zone", hint="write 2026-11-20T21:00:00Z")
    return found.astimezone(UTC)
