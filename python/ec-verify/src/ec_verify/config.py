"""`verify.toml`: what a node's operator (or the NixOS module) tells the verifier."""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ec_closure import config_file
from ec_closure import policy as policies
from ec_closure.errors import EcError
from ec_closure.policy import Policy
from ec_closure.record import Line  # noqa: TC001 - msgspec reads annotations when it decodes
from ec_fetch.origin import check_address
from ec_verify.config_tables import (
    Absolute,
    AbsoluteOrEmpty,
    BootTable,
    BudgetTable,
    CourierTable,
    FleetTable,
    NixTable,
    RebuildTable,
    ReportTable,
    RescanTable,
    SourceTable,
    StoreTable,
    SystemTable,
    Table,
    TrustTable,
)
from ec_verify.errors import ConfigError
from ec_verify.ghost.nix import NixSettings
from ec_verify.ghost.scratch import parse_size
from ec_verify.location import StoreLocation
from ec_verify.observe.places import HostPlaces
from ec_verify.rebuild.fleet import Share

if TYPE_CHECKING:
    import ssl

DEFAULT_PATH = Path("/etc/ec-verify/verify.toml")
MAX_BYTES = 1 << 20
_DEFAULT_POLICY = "/etc/ec-verify/policy.toml"


class Config(Table, frozen=True, kw_only=True):
    """The whole file."""

    schema: Literal["ec-runner.verify.v1"] = "ec-runner.verify.v1"
    node: Line | None = None
    node_file: AbsoluteOrEmpty = "/run/every-channel/node.json"
    state_dir: Absolute = "/var/lib/ec-verify"
    policy: AbsoluteOrEmpty = _DEFAULT_POLICY
    store: StoreTable = StoreTable()
    trust: TrustTable = TrustTable()
    courier: CourierTable = CourierTable()
    source: SourceTable = SourceTable()
    nix: NixTable = NixTable()
    rescan: RescanTable = RescanTable()
    rebuild: RebuildTable = RebuildTable()
    budget: BudgetTable = BudgetTable()
    fleet: FleetTable = FleetTable()
    report: ReportTable = ReportTable()
    system: SystemTable = SystemTable()
    boot: BootTable = BootTable()

    @property
    def name(self) -> str:
        """The name that reports carry."""
        return self.node or socket.gethostname()

    @property
    def location(self) -> StoreLocation:
        """The store that is verified. Raises `ConfigError` when its three directories do not fit together."""
        return StoreLocation(root=Path(_normal(self.store.root)), store_dir=self.store.dir, state_dir=self.store.state)

    @property
    def places(self) -> HostPlaces:
        """The machine around the store. Raises what `location` raises."""
        return HostPlaces(self.location, boot=tuple(map(_normal, self.boot.directories)))

    @property
    def state(self) -> Path:
        """The verifier's own state directory."""
        return Path(self.state_dir)

    @property
    def spool(self) -> Path:
        """Where reports wait to be sent."""
        return self.state / "spool"

    @property
    def courier_dir(self) -> Path:
        """The directory that the courier owns, and that is read with suspicion."""
        return Path(self.courier.directory) if self.courier.directory else self.state / "courier"

    @property
    def share(self) -> Share | None:
        """This node's part in rebuilding, None where it rebuilds everything."""
        return Share(self.name, self.fleet.members, self.fleet.copies) if self.fleet.members else None

    def nix_settings(self, policy: Policy) -> NixSettings:
        """Return how Nix is to be run under *policy*."""
        return NixSettings(
            program=self.nix.program,
            sandbox_paths=self.nix.sandbox_paths,
            substituters=self.nix.substituters,
            trusted_keys=policy.cache_keys,
            jobs=self.rebuild.jobs,
            timeout=self.rebuild.timeout,
            silent=self.rebuild.silent,
        )


@dataclass(frozen=True)
class Settings:
    """Configuration and policy as loaded, with the digests that a report cites and the bytes that they are of.

    What the node's own data add is there once `ec_verify.node_data.apply` was asked: *node_data_problem* says what is
    wrong with them.
    """

    config: Config
    config_digest: str
    policy: Policy
    policy_digest: str
    config_bytes: bytes = b""
    policy_bytes: bytes = b""
    node_data_digest: str | None = None
    node_data_problem: str | None = None


def decode(data: bytes, *, what: str = "verify.toml") -> Config:
    """Decode a configuration. Raises `ConfigError` with its place; unknown keys are errors.

    Not checked: anything outside the file, such as whether paths that it names exist.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    config = config_file.decode(
        data, Config, what=what, error=ConfigError, hint="docs/configuration.md lists every key"
    )
    try:
        _check(config)
    except EcError as error:
        raise ConfigError(error.message, place=f"{what}: {error.place or 'store'}", hint=error.hint) from error
    return config


def _check(config: Config) -> None:
    """Check what the types cannot say. Raises `EcError` with the key as its place."""
    location = config.location
    if config.node is not None:  # else its name is known where it runs, and not where its configuration is made
        check_member(config)
    if (config.trust.metadata_base is None) != (config.trust.target_base is None):
        raise ConfigError("metadata_base and target_base go together", place="trust")
    if config.rebuild.scratch.startswith("tmpfs:"):
        parse_size(config.rebuild.scratch.removeprefix("tmpfs:"))
    elif config.rebuild.scratch != "auto" and not config.rebuild.scratch.startswith("/"):
        raise ConfigError(
            f"{config.rebuild.scratch!r} is neither auto, an absolute path nor tmpfs:SIZE", place="rebuild.scratch"
        )
    addresses = {
        "trust.metadata_base": config.trust.metadata_base,
        "trust.target_base": config.trust.target_base,
        "report.url": config.report.url,
    }
    for key, address in addresses.items():
        if address:
            _check_address(key, address)
    written = {
        "state_dir": config.state_dir,
        "courier.directory": config.courier.directory,
        "rebuild.scratch": config.rebuild.scratch,
        "report.directory": config.report.directory,
        "report.textfile": config.report.textfile,
    }
    for key, path in written.items():
        if path.startswith("/") and Path(_normal(path)).is_relative_to(location.store):
            raise ConfigError("lies inside the store that is verified", place=key)


def check_member(config: Config) -> None:
    """Raise `ConfigError` unless the node is one of its fleet."""
    if config.fleet.members and config.name not in config.fleet.members:
        raise ConfigError(
            f"this node, {config.name}, is none of them", place="fleet.members", hint="list the names of all nodes"
        )


def check_dashboard(address: str) -> None:
    """Raise `EcError` for the address of a dashboard that `report.url` would not take."""
    _check_address("report.url", address)


def _check_address(key: str, address: str) -> None:
    # First, since every other message quotes the address.
    if "@" in address.partition("://")[2].partition("/")[0]:
        raise ConfigError("holds a user or a password, which would show in messages", place=key, hint="use token_file")
    check_address(address, what=key)


def _normal(path: str) -> str:
    """Return the absolute *path* in its shortest form. Two slashes at its front, which POSIX keeps, are one."""
    return "/" + os.path.normpath(path).lstrip("/")


def load(path: Path | None) -> Settings:
    """Read verify.toml (or the defaults, where the default file is absent) and the policy it names."""
    if path is None and not os.path.lexists(DEFAULT_PATH):
        config, config_bytes = Config(), b""
    else:
        source = path or DEFAULT_PATH
        config_bytes = read_file(source)
        config = decode(config_bytes, what=str(source))
    policy, policy_bytes = Policy(), b""
    if config.policy:
        source = Path(config.policy)
        if os.path.lexists(source) or config.policy != _DEFAULT_POLICY:
            policy_bytes = read_file(source, policies.MAX_BYTES)
            policy = policies.decode(policy_bytes, what=str(source))
    return Settings(
        config,
        hashlib.sha256(config_bytes).hexdigest(),
        policy,
        hashlib.sha256(policy_bytes).hexdigest(),
        config_bytes,
        policy_bytes,
    )


def tls_context(ca_file: Path, key: str) -> ssl.SSLContext:
    """Return a TLS context that trusts the certificate authorities of *ca_file* and no others.

    Raises `ConfigError` that names the *key* of the configuration.
    """
    import ssl

    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # also what is no certificate
        raise ConfigError(
            f"{key} cannot be used: {error.strerror or error}",
            place=str(ca_file),
            hint="it holds certificates of authorities in PEM form",
        ) from error


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a file that a user named. Raises `ConfigError` with what the system said, or above *limit* bytes."""
    return config_file.read(path, limit, ConfigError)
