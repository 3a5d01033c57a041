"""`verify.toml`: what a node's operator (or the NixOS module) tells the verifier."""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ec_closure import policy as policies
from ec_closure.policy import Policy
from ec_closure.record import Line
from ec_verify.errors import ConfigError
from ec_verify.ghost.nix import NixSettings
from ec_verify.location import STATE_DIR, STORE_DIR, StoreLocation

DEFAULT_PATH = Path("/etc/ec-verify/verify.toml")
MAX_BYTES = 1 << 20

Absolute = Annotated[str, msgspec.Meta(pattern=r"^/[^\n\x00]*$")]
AbsoluteOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(/[^\n\x00]*)?$")]
Url = Annotated[str, msgspec.Meta(pattern=r"^(https?|file)://[^\s\x00]+/$")]
UrlOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s\x00]+)?$")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of verify.toml."""


class StoreTable(Table, frozen=True, kw_only=True):
    """Which store is verified. *dir* and *state* are logical paths under *root*."""

    root: Absolute = "/"
    dir: Absolute = STORE_DIR
    state: Absolute = STATE_DIR


class TrustTable(Table, frozen=True, kw_only=True):
    """Whom to believe. *root* is the pinned TUF root file; both bases end with a slash."""

    root: AbsoluteOrEmpty = "/etc/ec-verify/root.json"
    metadata_base: Url | None = None
    target_base: Url | None = None
    token_file: AbsoluteOrEmpty = ""
    proxy: UrlOrEmpty = ""
    deadline: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 120


class SourceTable(Table, frozen=True, kw_only=True):
    """The embedded flake. *attr* empty means the attribute that the manifest names."""

    flake: Absolute = "/etc/every-channel/flake"
    attr: str = ""


class NixTable(Table, frozen=True, kw_only=True):
    """The Nix that evaluates and builds. *substituters* serve missing build inputs only."""

    program: Line = "nix"
    sandbox_paths: tuple[Line, ...] = ()
    substituters: tuple[Line, ...] = ()


class RebuildTable(Table, frozen=True, kw_only=True):
    """Limits of rebuilding. *scratch*: `auto`, a directory, or `tmpfs:SIZE`; *timeout* in seconds per derivation."""

    scratch: Line = "auto"
    jobs: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 0
    timeout: Annotated[int, msgspec.Meta(ge=1)] = 3600


class ReportTable(Table, frozen=True, kw_only=True):
    """Where reports go. *url* is the dashboard's base; empty values switch a destination off."""

    url: UrlOrEmpty = ""
    token_file: AbsoluteOrEmpty = ""
    textfile: AbsoluteOrEmpty = ""
    directory: AbsoluteOrEmpty = ""
    keep: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100


class SystemTable(Table, frozen=True, kw_only=True):
    """The links that say what runs, under the store's root."""

    current: Absolute = "/run/current-system"
    booted: Absolute = "/run/booted-system"
    profile: Absolute = "/nix/var/nix/profiles/system"


class Config(Table, frozen=True, kw_only=True):
    """The whole file."""

    schema: Literal["ec-runner.verify.v1"] = "ec-runner.verify.v1"
    node: Line = msgspec.field(default_factory=socket.gethostname)
    state_dir: Absolute = "/var/lib/ec-verify"
    policy: AbsoluteOrEmpty = "/etc/ec-verify/policy.toml"
    store: StoreTable = StoreTable()
    trust: TrustTable = TrustTable()
    source: SourceTable = SourceTable()
    nix: NixTable = NixTable()
    rebuild: RebuildTable = RebuildTable()
    report: ReportTable = ReportTable()
    system: SystemTable = SystemTable()

    @property
    def location(self) -> StoreLocation:
        """The store that is verified."""
        return StoreLocation(
            root=Path(os.path.normpath(self.store.root)), store_dir=self.store.dir, state_dir=self.store.state
        )

    @property
    def state(self) -> Path:
        """The verifier's own state directory."""
        return Path(self.state_dir)

    def nix_settings(self, policy: Policy) -> NixSettings:
        """Return how Nix is to be run under *policy*."""
        return NixSettings(
            program=self.nix.program,
            sandbox_paths=self.nix.sandbox_paths,
            substituters=self.nix.substituters,
            trusted_keys=policy.cache_keys,
            jobs=self.rebuild.jobs,
            timeout=self.rebuild.timeout,
        )


@dataclass(frozen=True)
class Settings:
    """Configuration and policy as loaded, with the digests that a report cites."""

    config: Config
    config_digest: str
    policy: Policy
    policy_digest: str


def decode(data: bytes, *, what: str = "verify.toml") -> Config:
    """Decode a configuration. Raises `ConfigError` with its place; unknown keys are errors."""
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    try:
        config = msgspec.toml.decode(data, type=Config)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            " ".join(str(error).split()) or "nested too deep", place=what, hint="docs/configuration.md lists every key"
        ) from error
    location = config.location
    if (config.trust.metadata_base is None) != (config.trust.target_base is None):
        raise ConfigError("trust.metadata_base and trust.target_base go together", place=what)
    if config.state.is_relative_to(location.store):
        raise ConfigError("state_dir lies inside the store that is verified", place=what)
    return config


def load(path: Path | None) -> Settings:
    """Read verify.toml (or the defaults, where the default file is absent) and the policy it names."""
    if path is None and not DEFAULT_PATH.exists():
        config, config_bytes = Config(), b""
    else:
        source = path or DEFAULT_PATH
        config_bytes = read_file(source)
        config = decode(config_bytes, what=str(source))
    policy, policy_bytes = Policy(), b""
    if config.policy:
        source = Path(config.policy)
        if source.exists() or source != Path(Config().policy):
            policy_bytes = read_file(source)
            policy = policies.decode(policy_bytes, what=str(source))
    return Settings(config, hashlib.sha256(config_bytes).hexdigest(), policy, hashlib.sha256(policy_bytes).hexdigest())


def read_file(path: Path) -> bytes:
    """Read a file that a user named. Raises `ConfigError` with what the system said."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", place=str(path)) from error
