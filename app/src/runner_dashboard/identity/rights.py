"""What somebody may who is known by a name that another service gave them: decided by the configuration, when they ask.

Nothing is kept of it: who is taken off the lists may nothing from the next start of the dashboard on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runner_dashboard.identity.roles import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

GROUP: Final = "group:"
"""Before the name of a group, in the lists of `[sign_in]` and `[proxy]`."""
ANYBODY: Final = "*"
"""Everybody whom the provider or the proxy names."""


@dataclass(frozen=True)
class Rights:
    """Three lists of names, groups (`group:NAME`) and `*`."""

    admins: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()

    def role(self, login: str, groups: Iterable[str]) -> Role | None:
        """Return the highest role of who is called *login* and is in *groups*; None for nobody that is listed.

        Names are compared as they are written: services differ in whether `Alice` is `alice`.
        """
        words = {ANYBODY, *(f"{GROUP}{group}" for group in groups)}
        # Nobody becomes a member of a group by the name they choose.
        if login and login != ANYBODY and not login.startswith(GROUP):
            words.add(login)
        for role, listed in ((Role.ADMIN, self.admins), (Role.OPERATOR, self.operators), (Role.VIEWER, self.viewers)):
            if words & set(listed):
                return role
        return None
