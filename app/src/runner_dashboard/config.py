"""`dashboard.toml`: what the operator (or the NixOS module, or a container's environment) tells the dashboard."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from ec_closure import config_file
from ec_closure.decoding import explain
from runner_dashboard import config_rules
from runner_dashboard.errors import ConfigError
from runner_dashboard.identity.rights import Rights
from runner_dashboard.logs import Form, Level

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PATH = Path("/etc/runner-dashboard/dashboard.toml")
MAX_BYTES = 1 << 20
PREFIX = "RUNNER_DASHBOARD_"
PATH_VARIABLE = "RUNNER_DASHBOARD_CONFIG"
_MAX_SECRET = 8192
_HINT = "docs/dashboard.md lists every key"
# What Kubernetes puts into every container when a service is called runner-dashboard.
_KUBERNETES = re.compile(rf"{PREFIX}(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")

# `(?!\n)`: Python's `$` also matches before a last newline.
Absolute = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00-\x1f\x7f]*$(?!\n)")]
AbsoluteOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(/[^\x00-\x1f\x7f]*)?$(?!\n)")]
OriginOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(https?://[A-Za-z0-9.:\[\]_-]+)?$(?!\n)")]
# An OpenID provider is named by its address, with a path where it has one.
IssuerOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(https?://[A-Za-z0-9.:\[\]_-]+(/[A-Za-z0-9._~/-]*)?)?$(?!\n)")]
AddressOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(https?://[\x21-\x7e]{1,1000})?$(?!\n)")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f,]{1,200}$(?!\n)")]
Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:/-]{1,100}$(?!\n)")]
Header = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{1,100}$(?!\n)")]
Network = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$(?!\n)")]
Secret = Annotated[str, msgspec.Meta(max_length=4096)]
Host = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9.:_-]{1,253}$(?!\n)")]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of dashboard.toml."""


class ServerTable(Table, frozen=True, kw_only=True):
    """Where it is served. *public_url* is the origin that browsers see; *grace* seconds end a stop."""

    host: Host = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    public_url: OriginOrEmpty = ""
    grace: Annotated[int, msgspec.Meta(ge=1, le=600)] = 20


class DatabaseTable(Table, frozen=True, kw_only=True):
    """Where data lie. An empty *file* is `dashboard.sqlite` in the state directory.

    *url* or the first line of *url_file* names a PostgreSQL database instead: a secret, as it may hold a password.
    """

    file: AbsoluteOrEmpty = ""
    url: Secret = ""
    url_file: AbsoluteOrEmpty = ""
    migrate: bool = True


class IngestTable(Table, frozen=True, kw_only=True):
    """What is taken from nodes. Sizes in MiB, times in seconds."""

    max_envelope: Annotated[int, msgspec.Meta(ge=1, le=64)] = 64
    in_flight: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 128
    deadline: Annotated[int, msgspec.Meta(ge=1, le=300)] = 120
    reports_per_minute: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 60
    burst: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 600
    nonce_lifetime: Annotated[int, msgspec.Meta(ge=60, le=2_592_000)] = 172_800
    pending: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 1000


class IdentityTable(Table, frozen=True, kw_only=True):
    """Who may do what. *bootstrap_token_file* replaces the token that is printed at first start."""

    bootstrap_token_file: AbsoluteOrEmpty = ""
    session_lifetime: Annotated[int, msgspec.Meta(ge=300, le=2_592_000)] = 28_800


class SignInTable(Table, frozen=True, kw_only=True):
    """Another service that says who people are: an OpenID provider, or GitHub. *kind* `none` is none.

    *login_claim* of the provider's answer is what `admins`, `operators` and `viewers` list.
    """

    kind: Literal["none", "oidc", "github"] = "none"
    name: Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f]{0,60}$(?!\n)")] = ""
    issuer: IssuerOrEmpty = ""
    client_id: Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{0,200}$(?!\n)")] = ""
    client_secret_file: AbsoluteOrEmpty = ""
    login_claim: Literal["preferred_username", "email", "sub"] = "preferred_username"
    groups_claim: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.:/-]{0,100}$(?!\n)")] = "groups"
    scopes: tuple[Word, ...] = ("openid", "profile", "email")
    admins: tuple[Name, ...] = ()
    operators: tuple[Name, ...] = ()
    viewers: tuple[Name, ...] = ()

    @property
    def rights(self) -> Rights:
        """Who may what."""
        return Rights(self.admins, self.operators, self.viewers)


class ProxyTable(Table, frozen=True, kw_only=True):
    """Something in front that says who people are, in headers. It is believed from *networks* alone."""

    networks: tuple[Network, ...] = ()
    user_header: Header = "Remote-User"
    groups_header: Header = "Remote-Groups"
    admins: tuple[Name, ...] = ()
    operators: tuple[Name, ...] = ()
    viewers: tuple[Name, ...] = ()

    @property
    def rights(self) -> Rights:
        """Who may what."""
        return Rights(self.admins, self.operators, self.viewers)


class FleetTable(Table, frozen=True, kw_only=True):
    """What is expected of nodes. A node is silent when no report came for *silent_after* seconds."""

    silent_after: Annotated[int, msgspec.Meta(ge=60, le=31_536_000)] = 172_800


class ForgeTable(Table, frozen=True, kw_only=True):
    """A forge whose runners of CI are shown: where it is, of what (empty: not at all), and the token's file."""

    url: OriginOrEmpty = ""
    scope: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._/:-]{0,300}$(?!\n)")] = ""
    token_file: AbsoluteOrEmpty = ""


class ReleasesTable(Table, frozen=True, kw_only=True):
    """Where releases are published, and the pinned root by which manifests are verified. Empty: they are uploaded."""

    metadata_url: AddressOrEmpty = ""
    target_url: AddressOrEmpty = ""
    root_file: AbsoluteOrEmpty = ""


class NotifyTable(Table, frozen=True, kw_only=True):
    """Whom alarms are told: *url* gets each one signed with the secret in *secret_file*. Empty: nobody."""

    url: AddressOrEmpty = ""
    secret_file: AbsoluteOrEmpty = ""
    kinds: tuple[Literal["silent", "failed", "suspected"], ...] = ("silent", "failed", "suspected")


class RetentionTable(Table, frozen=True, kw_only=True):
    """How many days things are kept at least, 0 for ever. What is older goes *every* so many seconds, 0 for by hand."""

    reports: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 400
    evidence: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 90
    findings: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 90
    audit: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 730
    every: Annotated[int, msgspec.Meta(ge=0, le=604_800)] = 3600


class LogTable(Table, frozen=True, kw_only=True):
    """How it logs."""

    form: Form = "auto"
    level: Level = "info"


class Config(Table, frozen=True, kw_only=True):
    """The whole of dashboard.toml."""

    schema: Literal["ec-runner.dashboard.v1"] = "ec-runner.dashboard.v1"
    state_dir: Absolute = "/var/lib/runner-dashboard"
    server: ServerTable = ServerTable()
    database: DatabaseTable = DatabaseTable()
    ingest: IngestTable = IngestTable()
    identity: IdentityTable = IdentityTable()
    sign_in: SignInTable = SignInTable()
    proxy: ProxyTable = ProxyTable()
    fleet: FleetTable = FleetTable()
    releases: ReleasesTable = ReleasesTable()
    forgejo: ForgeTable = ForgeTable()
    github: ForgeTable = ForgeTable()
    gitlab: ForgeTable = ForgeTable()
    notify: NotifyTable = NotifyTable()
    retention: RetentionTable = RetentionTable()
    log: LogTable = LogTable()

    @property
    def database_file(self) -> Path:
        """The SQLite file, where no PostgreSQL is named."""
        return Path(self.database.file) if self.database.file else Path(self.state_dir) / "dashboard.sqlite"

    @property
    def database_url(self) -> str:
        """The address of the PostgreSQL database, empty for SQLite. Raises `ConfigError` when it cannot be read."""
        table = self.database
        if table.url and table.url_file:
            raise ConfigError("is named twice", place="database.url", hint="by url or by url_file, not by both")
        if (table.url or table.url_file) and table.file:
            raise ConfigError("is either SQLite or PostgreSQL", place="database.file", hint="remove it, or the url")
        if not table.url_file:
            return table.url
        lines = read_file(Path(table.url_file), _MAX_SECRET).decode(errors="replace").splitlines()
        if not lines or not lines[0].strip():
            raise ConfigError("holds no address of a database", place=table.url_file, hint=_HINT)
        return lines[0].strip()

    @property
    def secure(self) -> bool:
        """Whether browsers speak TLS to us."""
        return self.server.public_url.startswith("https://")

    def remarks(self) -> list[str]:
        """Return what is valid, and deserves a second look."""
        return config_rules.remarks(self)


def decode(data: bytes, environment: Mapping[str, str] | None = None, *, what: str = "dashboard.toml") -> Config:
    """Decode a configuration, with the variables of *environment* laid over it. Raises `ConfigError` with the place.

    `RUNNER_DASHBOARD_SERVER_PORT` replaces `port` of `[server]`, `RUNNER_DASHBOARD_STATE_DIR` the key of the top level.
    A variable with this prefix that names no key is an error, as an unknown key is; those that Kubernetes makes of a
    service of this name are passed over.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    config = config_file.decode(data, Config, what=what, error=ConfigError, hint=_HINT)
    for name, value in sorted((environment or {}).items()):
        if name.startswith(PREFIX) and name != PATH_VARIABLE and not _KUBERNETES.fullmatch(name):
            config = _overlaid(config, name, value)
    for message, key in config_rules.contradictions(config):
        raise ConfigError(message, place=f"{what}: {key}", hint=_HINT)
    return config


def variables() -> dict[str, tuple[str, str]]:
    """Return every variable of the environment that is read, with the table (or the empty text) and key it replaces."""
    found = {}
    for field in msgspec.structs.fields(Config):
        if isinstance(field.default, Table):
            for key in msgspec.structs.fields(type(field.default)):
                found[f"{PREFIX}{field.name}_{key.name}".upper()] = (field.name, key.name)
        else:
            found[f"{PREFIX}{field.name}".upper()] = ("", field.name)
    return found


def _overlaid(config: Config, name: str, value: str) -> Config:
    place = variables().get(name)
    if place is None:
        raise ConfigError("names no key of the configuration", place=name, hint=_HINT)
    table, key = place
    whole: dict[str, Any] = msgspec.to_builtins(config)
    kept = whole[table] if table else whole
    # A list is written with commas: no word of one holds any.
    kept[key] = _words(value) if isinstance(kept[key], list | tuple) else _plain(value)
    try:
        return msgspec.convert(whole, Config, strict=False)
    except msgspec.ValidationError as error:
        message, _ = explain(error, name)
        raise ConfigError(message, place=name, hint=_HINT) from error


def _plain(value: str) -> str | bool:
    return {"true": True, "false": False}.get(value.lower(), value)


def _words(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read dashboard.toml (or the defaults, where the default file is absent). Raises `ConfigError`."""
    if path is None and (named := environment.get(PATH_VARIABLE)):
        path = Path(named)
    if path is None and not os.path.lexists(DEFAULT_PATH):
        return decode(b"", environment)
    source = path or DEFAULT_PATH
    return decode(read_file(source), environment, what=str(source))


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a file that an operator named. Raises `ConfigError` with what the system said, or above *limit* bytes."""
    return config_file.read(path, limit, ConfigError)
