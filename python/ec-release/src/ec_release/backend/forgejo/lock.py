"""One publisher at a time, on a server that has no lock: an asset of the release `trust` says who is at work.

Its name says everything, so that a listing shows all locks at one moment. Whoever finds another lock than their own,
before or after adding theirs, goes back. It is renewed while its owner works and counts for nothing after `LEASE`
seconds without that, or when its owner has certainly ended. Times are the server's. See decision 0018.
"""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from ec_release.backend.forgejo.holder import Holder
from ec_release.errors import AccessError, BackendError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ec_release.backend.forgejo.api import Attachment
    from ec_release.backend.forgejo.assets import ReleaseAssets

log = structlog.get_logger()

LEASE = 1800.0
"""Seconds after which a lock that was not renewed is over: longer than anything that a publisher waits for at once."""

_RENEWED_EVERY = 60.0
_NAME = re.compile(r"lock\.(?P<nonce>[0-9a-f]{16})\.(?P<renewed>[0-9]{1,12})\.(?P<holder>[a-z0-9.-]+)")
_TEXT = b"A publisher is at work. It removes this file when it is done; after half an hour it means nothing.\n"


class Lock:
    """The lock on the release *trust*, taken by *holder*. Methods raise `BackendError`."""

    def __init__(self, trust: ReleaseAssets, holder: Holder) -> None:
        self._trust = trust
        self._http = trust.api.http
        self._holder = holder
        self._nonce = secrets.token_hex(8)
        self._asset: Attachment | None = None
        self._renewed = 0.0
        self._busy = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock while the block runs. Raises `BackendError` when another publisher does."""
        self._clear()
        self._renewed = self._http.now()
        self._asset = self._trust.add(self._name(), len(_TEXT), lambda: iter((_TEXT,)))
        before = self._http.before
        try:
            # Both of two who add theirs at once see the other's, and go back.
            self._clear()
            self._http.before = self._keep
            yield
        finally:
            self._http.before = before
            self._release()

    def confirm(self) -> None:
        """Raise `BackendError` unless this lock is there still: for the moment before something cannot be undone."""
        asset = self._asset
        if asset is None or not any(found.id == asset.id for found in self._trust.all()):
            raise BackendError(
                "another publisher took over, because this one did not move for half an hour",
                place=self._trust.title,
                hint="run the same command again when it has finished",
            )

    def _name(self) -> str:
        return f"lock.{self._nonce}.{int(self._renewed)}.{self._holder}"

    def _clear(self) -> None:
        """Delete the locks of publishers that are over. Raises `BackendError` for one that is not."""
        for asset in self._trust.all():
            match = _NAME.fullmatch(asset.name)
            if match is None or match["nonce"] == self._nonce:
                continue
            holder = Holder.parse(match["holder"])
            age = self._http.now() - int(match["renewed"])
            if age <= LEASE and not (holder is not None and holder.is_over(self._holder)):
                who = holder.described if holder else "somebody"
                raise BackendError(
                    f"another publisher is at work here: {who}, last seen {max(0, age):.0f} seconds ago",
                    place=self._trust.title,
                    hint=f"wait until it has finished; if it was killed, its lock ends in {LEASE - age:.0f} seconds",
                )
            log.warning("a publisher left its lock behind", lock=asset.name)
            self._trust.delete(asset)

    def _keep(self) -> None:
        """Renew the lock when it is time to. Called before each request, also before those that this makes."""
        now = self._http.now()
        if self._busy or self._asset is None or now - self._renewed < _RENEWED_EVERY:
            return
        self._busy = True
        try:
            self._renewed = now
            self._asset = self._trust.api.rename_asset(self._trust.release, self._asset.id, self._name())
        except AccessError:
            self.confirm()
            raise
        finally:
            self._busy = False

    def _release(self) -> None:
        asset, self._asset = self._asset, None
        if asset is None:
            return
        try:
            self._trust.delete(asset)
        except BackendError as error:
            # What was to be done is done, or its own error is on the way; the lock ends by itself.
            log.warning("the lock could not be removed", reason=str(error), ends_in_seconds=int(LEASE))
