"""The four roles, how long what they sign is valid, and the names that are ours inside signed metadata."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

Role = Literal["root", "targets", "snapshot", "timestamp"]
OnlineRole = Literal["targets", "snapshot", "timestamp"]
ONLINE: tuple[OnlineRole, ...] = ("targets", "snapshot", "timestamp")
"""The roles whose keys live in CI; the root's keys do not."""

FIELD = "x-ec-runner"
"""The key under which signed metadata carry what is ours. Clients read it under the same name."""

LIMITS: dict[Role, int] = {"root": 256 << 10, "targets": 16 << 20, "snapshot": 256 << 10, "timestamp": 16 << 10}
"""Bytes that clients accept; what is larger would stop every node."""


@dataclass(frozen=True)
class Periods:
    """Days until what a role signs expires.

    Short where a machine signs often and staleness must show (timestamp: how long a node can be held back unnoticed),
    long where people must meet to sign (root).
    """

    root_days: int = 365
    targets_days: int = 90
    snapshot_days: int = 14
    timestamp_days: int = 7

    def length(self, role: Role) -> timedelta:
        """Return the validity of *role*."""
        return timedelta(
            days={
                "root": self.root_days,
                "targets": self.targets_days,
                "snapshot": self.snapshot_days,
                "timestamp": self.timestamp_days,
            }[role]
        )

    def expiry(self, role: Role, time: datetime) -> datetime:
        """Return when what *role* signs at *time* expires, in whole seconds as the format has it."""
        return time.replace(microsecond=0) + self.length(role)

    def due(self, role: Role, expires: datetime, time: datetime) -> bool:
        """Return whether less than half of the validity is left, the moment to sign anew."""
        return expires - time < self.length(role) / 2
