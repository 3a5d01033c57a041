"""`netboot.toml`: what an operator (or the NixOS module) tells the boot server."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ec_closure import config_file
from ec_closure.decoding import excerpt
from ec_closure.errors import EcError
from ec_closure.record import Line
from ec_fetch.origin import check_address
from ec_netboot.errors import ConfigError, ScriptError
from ec_netboot.release import PLATFORMS, Platform
from ec_netboot.script import check_word

DEFAULT_PATH = Path("/etc/ec-netboot/netboot.toml")
MAX_BYTES = 1 << 20
_MAX_FILENAME = 127  # what a DHCP packet's field for the boot file holds, without its end

# `(?!\n)`: Python's `$` also matches before a last newline.
Absolute = Annotated[str, msgspec.Meta(pattern=r"^/[^\x00-\x1f\x7f]*$(?!\n)")]
AbsoluteOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(/[^\x00-\x1f\x7f]*)?$(?!\n)")]
Plain = Annotated[str, msgspec.Meta(pattern=r"^/[A-Za-z0-9._/-]*$(?!\n)")]
Url = Annotated[str, msgspec.Meta(pattern=r"^(https?|file)://[^\s\x00-\x1f\x7f]+/$(?!\n)")]
UrlOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(https?://[A-Za-z0-9.\[\]:_/~-]+/)?$(?!\n)")]
ProxyOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s\x00-\x1f\x7f]+)?$(?!\n)")]
Sha256OrEmpty = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{64})?$(?!\n)")]
TagOrEmpty = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9][A-Za-z0-9._+~-]{0,199})?$(?!\n)")]
Interface = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9._@-]{1,15})?$(?!\n)")]
User = Annotated[str, msgspec.Meta(pattern=r"^([a-z_][a-z0-9_-]{0,31})?$(?!\n)")]

LOCAL: tuple[str, ...] = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
"""Addresses that the rest of the world does not route: who boots from here is one of them."""


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of netboot.toml."""


class TrustTable(Table, frozen=True, kw_only=True):
    """Whom to believe. *root* is the pinned TUF root file; both bases end with a slash."""

    root: AbsoluteOrEmpty = "/etc/ec-netboot/root.json"
    metadata_base: Url | None = None
    target_base: Url | None = None
    token_file: AbsoluteOrEmpty = ""
    proxy: ProxyOrEmpty = ""
    ca_file: AbsoluteOrEmpty = ""
    deadline: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 120


class ReleaseTable(Table, frozen=True, kw_only=True):
    """What is staged: the newest, the one called *tag*, or *tarball*, whose *sha256* the operator vouches for."""

    tag: TagOrEmpty = ""
    tarball: AbsoluteOrEmpty = ""
    sha256: Sha256OrEmpty = ""


class ScriptTable(Table, frozen=True, kw_only=True):
    """What is added to boot scripts. *url* is this server as machines see it."""

    url: UrlOrEmpty = ""
    kernel_parameters: tuple[Line, ...] = ()


class HttpTable(Table, frozen=True, kw_only=True):
    """Who may load what, and how much of it. *stall* and *header* in seconds."""

    # A boot server that nobody can reach boots nobody; `allowed` says who may.
    address: Line = "0.0.0.0"  # noqa: S104 - see above
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    allowed: tuple[Line, ...] = LOCAL
    token_file: AbsoluteOrEmpty = ""
    connections: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 512
    downloads: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 128
    stall: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 60
    header: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 10


class TftpTable(Table, frozen=True, kw_only=True):
    """What is served by TFTP: iPXE itself, from files that the operator names, and nothing else."""

    enabled: bool = False
    address: Line | None = None
    interface: Interface = ""
    bios: AbsoluteOrEmpty = ""
    efi_x86_64: AbsoluteOrEmpty = ""
    efi_aarch64: AbsoluteOrEmpty = ""
    program: Line = "dnsmasq"


class ProxyDhcpTable(Table, frozen=True, kw_only=True):
    """Whether DHCP requests of machines that boot are answered beside the network's own DHCP server."""

    enabled: bool = False
    subnet: Line | None = None


class Config(Table, frozen=True, kw_only=True):
    """The whole file."""

    schema: Literal["ec-runner.netboot.v1"] = "ec-runner.netboot.v1"
    state_dir: Absolute = "/var/lib/ec-netboot"
    runtime_dir: Plain = "/run/ec-netboot"
    platforms: tuple[Platform, ...] = ("x86_64",)
    keep: Annotated[int, msgspec.Meta(ge=2, le=100)] = 3
    user: User = ""
    trust: TrustTable = TrustTable()
    release: ReleaseTable = ReleaseTable()
    script: ScriptTable = ScriptTable()
    http: HttpTable = HttpTable()
    tftp: TftpTable = TftpTable()
    proxy_dhcp: ProxyDhcpTable = ProxyDhcpTable()

    @property
    def state(self) -> Path:
        """The boot server's own state directory."""
        return Path(self.state_dir)

    @property
    def runtime(self) -> Path:
        """Where files lie that are made at every start: what TFTP serves, and dnsmasq's configuration."""
        return Path(self.runtime_dir)

    @property
    def base(self) -> str:
        """What addresses in scripts begin with: this server as machines see it, or `/`."""
        return self.script.url or "/"

    @property
    def url(self) -> str:
        """This server's whole address, empty where nothing says it."""
        if self.script.url or self.tftp.address is None:
            return self.script.url
        host = f"[{self.tftp.address}]" if ":" in self.tftp.address else self.tftp.address
        return f"http://{host}:{self.http.port}/"


def decode(data: bytes, *, what: str = "netboot.toml") -> Config:
    """Decode a configuration. Raises `ConfigError` with its place; unknown keys are errors.

    Not checked: anything outside the file, such as whether paths that it names exist.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{len(data)} bytes where at most {MAX_BYTES} are accepted", place=what)
    config = config_file.decode(data, Config, what=what, error=ConfigError, hint="docs/netboot.md lists every key")
    try:
        _check(config)
    except EcError as error:
        raise ConfigError(error.message, place=f"{what}: {error.place}", hint=error.hint) from error
    return config


def _check(config: Config) -> None:
    """Check what the types cannot say. Raises `EcError` with the key as its place."""
    if not config.platforms or len(set(config.platforms)) != len(config.platforms):
        raise ConfigError(f"list each once: {', '.join(PLATFORMS)}", place="platforms")
    _check_sources(config)
    for number, word in enumerate(config.script.kernel_parameters):
        try:
            # Settings of iPXE may stand here: it is the operator who writes them.
            check_word(word.replace("${", "").replace("}", ""), f"script.kernel_parameters[{number}]")
        except ScriptError as error:
            raise ConfigError(error.message, place=error.place, hint="one word an item, printable ASCII") from error
    for number, network in enumerate(config.http.allowed):
        _network(network, f"http.allowed[{number}]")
    _address(config.http.address, "http.address")
    _check_dhcp(config)


def _check_sources(config: Config) -> None:
    trust, release = config.trust, config.release
    if (trust.metadata_base is None) != (trust.target_base is None):
        raise ConfigError("metadata_base and target_base go together", place="trust")
    for key, address in (("trust.metadata_base", trust.metadata_base), ("trust.target_base", trust.target_base)):
        if address:
            # First, since every other message quotes the address.
            if "@" in address.partition("://")[2].partition("/")[0]:
                raise ConfigError(
                    "holds a user or a password, which would show in messages", place=key, hint="use token_file"
                )
            check_address(address, what=key)
    if bool(release.tarball) != bool(release.sha256):
        raise ConfigError(
            "tarball and sha256 go together", place="release", hint="a local archive is believed by its digest alone"
        )
    if release.tarball and release.tag:
        raise ConfigError("either a tag or a tarball", place="release")
    if release.tarball and len(config.platforms) > 1:
        raise ConfigError("one tarball is for one platform", place="release.tarball", hint="list one in `platforms`")


def _check_dhcp(config: Config) -> None:
    tftp, proxy = config.tftp, config.proxy_dhcp
    if tftp.address is not None and _address(tftp.address, "tftp.address").is_unspecified:
        raise ConfigError("machines are told this address: name the one they reach", place="tftp.address")
    if tftp.enabled and not (tftp.bios or tftp.efi_x86_64 or tftp.efi_aarch64):
        raise ConfigError("there is nothing to serve", place="tftp", hint="name iPXE: bios, efi_x86_64, efi_aarch64")
    if tftp.enabled and tftp.address is None:
        raise ConfigError("tftp needs its address", place="tftp.address", hint="the address that machines reach")
    if not proxy.enabled:
        return
    if not tftp.enabled:
        raise ConfigError("ProxyDHCP offers files by TFTP", place="proxy_dhcp", hint="set tftp.enabled = true")
    if proxy.subnet is None or tftp.address is None:
        raise ConfigError("ProxyDHCP needs its network", place="proxy_dhcp.subnet", hint='subnet = "192.168.1.0/24"')
    network = _network(proxy.subnet, "proxy_dhcp.subnet")
    address = _address(tftp.address, "tftp.address")
    if network.version != 4 or address not in network:  # noqa: PLR2004 - PXE's ProxyDHCP is IPv4
        raise ConfigError(f"{address} is not in it, or it is not IPv4", place="proxy_dhcp.subnet")
    if len(f"{config.url}netboot.ipxe") > _MAX_FILENAME:
        raise ConfigError("does not fit into a DHCP packet", place="script.url")


def _network(text: str, key: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(f"is no network: {excerpt(str(error))}", place=key, hint="10.20.30.0/24") from error


def _address(text: str, key: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        raise ConfigError(f"is no address: {excerpt(str(error))}", place=key) from error


def load(path: Path | None) -> Config:
    """Read netboot.toml, or the defaults where the default file is absent. Raises `ConfigError`."""
    if path is None and not os.path.lexists(DEFAULT_PATH):
        return Config()
    source = path or DEFAULT_PATH
    return decode(read_file(source), what=str(source))


def read_file(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a file that a user named. Raises `ConfigError` with what the system said, or above *limit* bytes."""
    return config_file.read(path, limit, ConfigError)
