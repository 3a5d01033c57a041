"""People whom something in front of the dashboard names in headers: believed from its addresses, and from no other."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from runner_dashboard.identity.people import MAX_GROUPS, clipped
from runner_dashboard.identity.roles import GRANTS, Principal
from runner_dashboard.refusals import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner_dashboard.config import ProxyTable

OWNER: Final = "proxy"
"""What their sessions would belong to: nothing is kept for them, for each request names them anew."""


class Proxy:
    """Reads the headers that `[proxy]` names."""

    def __init__(self, table: ProxyTable) -> None:
        self.user_header = table.user_header
        self.groups_header = table.groups_header
        self._networks = [ipaddress.ip_network(one, strict=False) for one in table.networks]
        self._rights = table.rights

    def principal(self, address: str, users: Sequence[str], groups: Sequence[str]) -> Principal | None:
        """Return who is named in a request from *address*, None where nobody is.

        *users* and *groups* are the values of the two headers, as often as they were sent. Raises `ForbiddenError` for
        somebody who is on no list, and for a header that came twice: one of them is not the proxy's.
        """
        if not users or not self._trusted(address):
            return None
        if len(users) > 1 or len(groups) > 1:
            raise ForbiddenError(
                f"{self.user_header} or {self.groups_header} came twice",
                hint="the proxy must remove what clients send under these names",
            )
        login = clipped(users[0], "login")
        if login is None:
            raise ForbiddenError(f"{self.user_header} names nobody")
        words = groups[0].split(",")[:MAX_GROUPS] if groups else []
        role = self._rights.role(login, [group for word in words if (group := clipped(word.strip(), "group"))])
        if role is None:
            raise ForbiddenError(f"{login} is on none of the lists of [proxy]", hint="an administrator adds you there")
        return Principal(f"proxy/{login}", OWNER, role, GRANTS[role], f"proxy {login}")

    def _trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self._networks)
