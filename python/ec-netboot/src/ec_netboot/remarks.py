"""What in a valid configuration deserves a second look. Pure."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ec_netboot.config import Config

_WIDE = {4: 8, 6: 7}


def remarks(config: Config) -> list[str]:
    """Return what an operator may not have meant, a sentence each."""
    found = []
    trust = config.trust
    if config.release.tarball:
        found.append("release.tarball is served although nobody signed it: its digest is all that vouches for it")
    elif not trust.root or trust.metadata_base is None:
        found.append("no release server is configured: only local archives can be staged")
    if not config.http.allowed:
        found.append("http.allowed is empty: whoever reaches this server may boot from it")
    wide = [
        text
        for text in config.http.allowed
        if (network := ipaddress.ip_network(text)).prefixlen < _WIDE[network.version]
    ]
    if wide:
        found.append(f"http.allowed lets in most of the world: {', '.join(wide)}")
    if config.http.token_file and config.proxy_dhcp.enabled:
        found.append("ProxyDHCP tells the chain token to everybody on the network; embed it into iPXE instead")
    if config.script.url.startswith("https://"):
        found.append("iPXE must have been built with HTTPS and with the certificate authority of script.url")
    return found
