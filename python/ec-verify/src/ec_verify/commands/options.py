"""Options that several subcommands share, and what is read from them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from ec_closure.errors import UsageError
from ec_verify import config as configuration
from ec_verify import logs, node_data, priority
from ec_verify.config import Settings
from ec_verify.config_tables import StoreTable
from ec_verify.errors import ConfigError
from ec_verify.location import StoreLocation
from ec_verify.progress import Progress, choose
from ec_verify.trust import ManifestFile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_HINT = "write 2026-11-20T21:00:00Z"


@Parameter(name="*")
@dataclass(frozen=True)
class Common:
    """What every command takes."""

    config: Annotated[Path | None, Parameter(help="The configuration [/etc/ec-verify/verify.toml].")] = None
    root: Annotated[str | None, Parameter(help="Look at the store under this root.")] = None
    store_dir: Annotated[str | None, Parameter(help="Look at this store directory.")] = None
    state_dir: Annotated[str | None, Parameter(help="Nix's state directory that belongs to it.")] = None
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative=())] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], help="No progress, warnings only.", negative=())] = False
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], help="Say more.", negative=())] = False

    def settings(self) -> Settings:
        """Load the configuration with the options laid over it. Raises `ConfigError`."""
        logs.configure("quiet" if self.quiet else "verbose" if self.verbose else "normal")
        loaded = configuration.load(self.config)
        store = loaded.config.store
        table = StoreTable(
            root=_absolute(self.root, "--root") or store.root,
            dir=_absolute(self.store_dir, "--store-dir") or store.dir,
            state=_absolute(self.state_dir, "--state-dir") or store.state,
            layers=store.layers,
            references=store.references,
        )
        settings = replace(loaded, config=msgspec.structs.replace(loaded.config, store=table))
        try:
            _ = settings.config.location
        except ConfigError as error:
            raise UsageError(error.message, place="--root, --store-dir, --state-dir", hint=error.hint) from error
        return node_data.apply(settings)

    def progress(self) -> Progress:
        """Return where progress is drawn."""
        return choose(quiet=self.quiet)


References = Annotated[
    bool, Parameter(help="Also search the bytes for references, and compare with those recorded.", negative=())
]


@Parameter(name="*")
@dataclass(frozen=True)
class Listing:
    """How much of a result is printed."""

    all: Annotated[bool, Parameter(help="Print every finding, not the causes alone.", negative=())] = False


@Parameter(name="*")
@dataclass(frozen=True)
class Trust:
    """Whom to believe, and when."""

    time: Annotated[str | None, Parameter(help="Judge as if it were this time (2026-11-20T21:00:00Z) [now].")] = None
    offline: Annotated[
        bool,
        Parameter(help="Use what `ec-verify fetch` brought, else the last verified metadata; no network.", negative=()),
    ] = False
    manifest: Annotated[
        Path | None, Parameter(help="A manifest inside a release directory (download/<tag>/), instead of the network.")
    ] = None
    trust_root: Annotated[Path | None, Parameter(help="The TUF root that --manifest is verified against.")] = None

    def reference_time(self) -> datetime:
        """Return the time to judge by. Raises `UsageError`."""
        return datetime.now(UTC) if self.time is None else parse_time(self.time)

    def manifest_file(self) -> ManifestFile | None:
        """Return the manifest given by hand, if one is. Raises `UsageError`."""
        if self.manifest is None:
            if self.trust_root is not None:
                raise UsageError("--trust-root goes with --manifest")
            return None
        if self.trust_root is None:
            raise UsageError("--manifest needs --trust-root", hint="name the root.json that you trust")
        return ManifestFile(self.manifest, self.trust_root)


def give_way(settings: Settings) -> None:
    """Lower the priority of this process and of what it starts, unless verify.toml leaves it alone."""
    if settings.config.budget.cpu_weight:
        priority.lower()


def parse_time(text: str) -> datetime:
    """Return the time that `--time` names. Raises `UsageError`."""
    try:
        found = datetime.fromisoformat(text)
        if found.tzinfo is None:
            raise UsageError(f"--time {text!r} has no time zone", hint=_TIME_HINT)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--time {text!r}: {error}", hint=_TIME_HINT) from error
    if found < _EPOCH:
        raise UsageError(f"--time {text!r} is before 1970", hint=_TIME_HINT)
    return found


def _absolute(value: str | None, option: str) -> str | None:
    if value is None:
        return None
    if not value or (option != "--root" and not value.startswith("/")):
        raise UsageError(f"{option} {value!r} is not absolute")
    return str(Path(value).absolute())


def logical(location: StoreLocation, path: str) -> str:
    """Return what a user wrote as a logical path: relative ones are of this directory, if that is in the same root."""
    if path.startswith("/"):
        return path
    if location.is_chroot or not path:
        raise UsageError(f"{path!r} is not absolute", hint="name a path as it is seen inside the root")
    return str(Path(path).absolute())
