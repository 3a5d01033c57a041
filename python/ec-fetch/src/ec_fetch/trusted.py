"""What verified metadata say, as values for those who judge. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ec_fetch.errors import MetadataError
from ec_fetch.targets import FIELD, ClosureTarget, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ec_fetch.replay import Verified


@dataclass(frozen=True)
class TrustedState:
    """One verified state of the repository.

    *expires* is the earliest expiry of the four roles; *expired* names the roles that had expired at the reference
    time (only offline: a refresh refuses them). *issued* is when the publisher signed the timestamp, as the signed
    timestamp itself says, None when it does not say; *refreshed* is when this machine last fetched all of it by its own
    reference time: a local note without a signature. *latest_version* is 0 when no release was published.
    """

    root_version: int
    timestamp_version: int
    snapshot_version: int
    targets_version: int
    expires: datetime
    expired: tuple[str, ...]
    issued: datetime | None
    refreshed: datetime
    latest_version: int
    min_version: int
    withdrawn: tuple[int, ...]
    offline: bool

    def age(self, reference_time: datetime) -> int:
        """Return the age of the metadata at *reference_time* in seconds: since *issued*, else since *refreshed*."""
        return max(0, int((reference_time - (self.issued or self.refreshed)).total_seconds()))


def describe(
    verified: Verified, closures: Sequence[ClosureTarget], *, refreshed: int, reference_time: datetime, offline: bool
) -> TrustedState:
    """Return what *verified* says. *refreshed* in seconds since 1970. Raises `MetadataError`."""
    roles = {
        "root": verified.root,
        "timestamp": verified.timestamp,
        "snapshot": verified.snapshot,
        "targets": verified.targets,
    }
    said = standing(verified.targets, closures)
    return TrustedState(
        root_version=verified.root.version,
        timestamp_version=verified.timestamp.version,
        snapshot_version=verified.snapshot.version,
        targets_version=verified.targets.version,
        expires=min(signed.expires for signed in roles.values()),
        expired=tuple(name for name, signed in roles.items() if signed.is_expired(reference_time)),
        issued=_issued(verified),
        refreshed=datetime.fromtimestamp(refreshed, UTC),
        latest_version=said.latest,
        min_version=said.min_version,
        withdrawn=said.withdrawn,
        offline=offline,
    )


def _issued(verified: Verified) -> datetime | None:
    ours = verified.timestamp.unrecognized_fields.get(FIELD)
    if not isinstance(ours, dict) or "issued" not in ours:
        return None
    try:
        return datetime.fromtimestamp(ours["issued"], UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise MetadataError("`issued` is no number of seconds", place=f"timestamp.json: {FIELD}") from error
