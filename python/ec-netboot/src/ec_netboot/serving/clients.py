"""Who may have what: addresses on the allow-list, and the chain token. Pure."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class AllowList:
    """Networks, as CIDR, whose addresses are admitted; an empty list admits all."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = tuple(map(ipaddress.ip_network, networks))

    def admits(self, host: str | None) -> bool:
        """Tell whether the peer *host* is admitted. An IPv4 address that came over IPv6 is that IPv4 address."""
        if not self._networks:
            return True
        try:
            # Link-local peers carry the name of an interface, which is no part of the address.
            address = ipaddress.ip_address((host or "").partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address.version == network.version and address in network for network in self._networks)


class ChainToken:
    """The secret that scripts are asked for with; None asks for nothing."""

    def __init__(self, token: str | None) -> None:
        self.text = token
        self._digest = _digest(token) if token is not None else None

    def admits(self, given: str | None) -> bool:
        """Tell whether *given* is the token, in a time that depends on neither its bytes nor its length."""
        return self._digest is None or hmac.compare_digest(self._digest, _digest(given or ""))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
