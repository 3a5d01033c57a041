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


def configure(config: Config, root: str, *, token: str | None = None) -> str:
    """Return dnsmasq's configuration. *root* is the directory that holds what is `offered`, and nothing else."""
    tftp = config.tftp
    lines = [
        "# Made by ec-netboot from netboot.toml; changes are lost.",
        "port=0",
        "keep-in-foreground",
        "log-facility=-",
        "bind-interfaces",
        f"listen-address={tftp.address}",
        "enable-tftp",
        f"tftp-root={root}",
        # Replies leave from port 69: firewalls need no helper that reads TFTP.
        "tftp-single-port",
        "tftp-max=100",
    ]
    if tftp.interface:
        lines.append(f"interface={tftp.interface}")
    if config.proxy_dhcp.enabled and config.proxy_dhcp.subnet:
        network = ipaddress.IPv4Network(config.proxy_dhcp.subnet)
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
