"""The TUF library's client, set up our way. The only place that reaches into it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tuf.ngclient import Updater, UpdaterConfig

from ec_fetch.strict import LIMITS

if TYPE_CHECKING:
    from pathlib import Path

    from ec_fetch.strict import StrictFetcher

MAX_ROTATIONS = 256

NEVER_EXPIRED = datetime.min.replace(tzinfo=UTC)
"""A reference time at which nothing has expired: for metadata whose expiry is reported instead of refused."""


def config() -> UpdaterConfig:
    """Return the client's settings: caps on metadata, and asset names without a hash in front."""
    return UpdaterConfig(
        max_root_rotations=MAX_ROTATIONS,
        max_delegations=1,
        root_max_length=LIMITS["root"],
        timestamp_max_length=LIMITS["timestamp"],
        snapshot_max_length=LIMITS["snapshot"],
        targets_max_length=LIMITS["targets"],
        # Release assets keep their names; the default asks for `<sha256>.<name>`, which does not exist.
        prefix_targets_with_hash=False,
    )


def make(
    directory: Path, fetcher: StrictFetcher, *, metadata_base: str, target_base: str, root: bytes, time: datetime
) -> Updater:
    """Return an Updater that starts from *root*, never from what *directory* or the server offers."""
    updater = Updater(
        metadata_dir=str(directory),
        metadata_base_url=metadata_base,
        target_dir=str(directory),
        target_base_url=target_base,
        fetcher=fetcher,
        config=config(),
        bootstrap=root,
    )
    # The library reads the clock when it makes its set of trusted metadata and offers no argument for it (6.0).
    # Nothing has been compared with it yet: the pinned root's own expiry is looked at during the refresh.
    updater._trusted_set.reference_time = time  # noqa: SLF001 - see above
    return updater
