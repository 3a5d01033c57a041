"""The configuration of dnsmasq: TFTP of iPXE's own files, and ProxyDHCP where it is asked for. Pure.

No name service (`port=0`) and no leases: the network's own DHCP server stays the only one that gives addresses.

A machine asks twice. Its firmware gets iPXE by TFTP; iPXE asks again and gets the script's address. iPXE is told apart
by option 175, which it alone sends, or by its user class: answered like firmware it would load itself for ever.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ec_netboot.config import Config

TFTP = "tftp"
PORTS = 49152, 49251
"""UDP ports of transfers, for firewalls, besides 69."""

BIOS, EFI_X86_64, EFI_AARCH64 = "undionly.kpxe", "ipxe.efi", "ipxe-arm64.efi"


class _Kind(NamedTuple):
    """A kind of firmware: its tag, the architectures (RFC 4578) it says, what dnsmasq calls it, and its file."""

    tag: str
    architectures: tuple[int, ...]
    services: tuple[str, ...]
    file: str


_KINDS = (
    _Kind("bios", (0,), ("x86PC",), BIOS),
    _Kind("efi64", (7, 9), ("X86-64_EFI", "BC_EFI"), EFI_X86_64),
    _Kind("arm64", (11,), ("ARM64_EFI",), EFI_AARCH64),
)


def offered(config: Config) -> dict[str, str]:
    """Return the files that TFTP serves: their names there, and where they come from."""
    tftp = config.tftp
    found = {BIOS: tftp.bios, EFI_X86_64: tftp.efi_x86_64, EFI_AARCH64: tftp.efi_aarch64}
    return {name: path for name, path in found.items() if path}


def configure(config: Config, *, token: str | None = None) -> str:
    """Return dnsmasq's configuration. The directory `TFTP` in the runtime directory holds what is `offered` alone."""
    tftp = config.tftp
    lines = [
        "# Made by ec-netboot from netboot.toml; changes are lost.",
        "port=0",
        "keep-in-foreground",
        "log-facility=-",
        "pid-file=",
        "bind-interfaces",
        f"listen-address={tftp.address}",
        "enable-tftp",
        f"tftp-root={config.runtime / TFTP}",
        # Each transfer has a port of its own. `tftp-single-port` would keep all on 69, but then dnsmasq 2.90 sends to
        # nowhere once it is bound to an address.
        f"tftp-port-range={PORTS[0]},{PORTS[1]}",
        f"tftp-max={PORTS[1] - PORTS[0] + 1}",
    ]
    if tftp.interface:
        lines.append(f"interface={tftp.interface}")
    if config.proxy_dhcp.enabled and config.proxy_dhcp.subnet:
        network = ipaddress.IPv4Network(config.proxy_dhcp.subnet)
        lines.append(f"dhcp-leasefile={config.runtime}/dnsmasq.leases")  # stays empty
        lines += _proxy(network, set(offered(config)), f"{config.url}netboot.ipxe", token)
    return "\n".join([*lines, ""])


def _proxy(network: ipaddress.IPv4Network, files: set[str], url: str, token: str | None) -> list[str]:
    script = url if token is None else f"{url}?token={token}"
    lines = [
        f"dhcp-range={network.network_address},proxy,{network.netmask}",
        "dhcp-match=set:ipxe,175",
        "dhcp-userclass=set:ipxe,iPXE",
        f"dhcp-boot=tag:ipxe,{script}",
        "log-dhcp",
    ]
    for kind in _KINDS:
        if kind.file not in files:
            continue
        lines += [f"dhcp-match=set:{kind.tag},option:client-arch,{number}" for number in kind.architectures]
        for service in kind.services:
            lines.append(f'pxe-service=tag:!ipxe,{service},"ec-netboot",{kind.file}')
            lines.append(f'pxe-service=tag:ipxe,{service},"ec-netboot",{script}')
    return lines
