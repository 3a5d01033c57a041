"""Publishes into the releases of one Forgejo repository. Implements `ReleaseBackend`.

A release is a draft until everything in it was read back; one request then shows it. Metadata are assets of one rolling
release, `trust`, so that readers need nothing but addresses: `…/releases/download/<tag>/<asset>`.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ec_release.backend.forgejo import timestamp, visible
from ec_release.backend.forgejo.assets import ReleaseAssets
from ec_release.backend.forgejo.lock import Lock
from ec_release.errors import BackendError, ConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ec_release.backend.forgejo.api import Api, Release
    from ec_release.backend.forgejo.holder import Holder

TRUST = "trust"
_METADATA = re.compile(r"[1-9][0-9]{0,9}\.[a-z]+\.json|timestamp\.json")
_MAX_METADATA = 16 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_TRUST_BODY = (
    "Signed metadata of all releases (The Update Framework). Programs read them; nothing here is to be downloaded, "
    "changed or deleted by hand."
)


@dataclass(frozen=True)
class Presentation:
    """What a new release looks like. *target* is the commit that its tag must name, or gets where there is no tag."""

    prerelease: bool = False
    target: str | None = None


class ForgejoBackend:
    """Publishes through *api* as *holder*."""

    def __init__(self, api: Api, holder: Holder, presentation: Presentation) -> None:
        self._api = api
        self._holder = holder
        self._presentation = presentation
        self._opened: dict[str, ReleaseAssets] = {}
        self._lock: Lock | None = None
        self._timestamp: bytes | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the repository's releases, and finish what an interrupted publisher began with `timestamp.json`."""
        trust = self._trust() or self._make_trust()
        self._lock, self._timestamp = Lock(trust, self._holder), None
        try:
            with self._lock.held():
                timestamp.heal(trust)
                yield
        finally:
            self._lock = None
            self._opened.clear()
            self._api.http.close()

    def published(self, tag: str) -> frozenset[str] | None:
        """Return the asset names of the published release *tag*, None when there is none."""
        release = self._single(tag, draft=False)
        return None if release is None else frozenset(self._open(release).by_name())

    def draft(self, tag: str) -> frozenset[str]:
        """Open the draft of *tag*; return the names of the assets it already holds.

        Of assets that are there twice, as retried requests may leave them, none is kept. Raises `ConflictError` when
        the tag names another commit than is to be published.
        """
        self._check_tag(tag, absent_is_fine=True)
        release = self._single(tag, draft=True) or self._make_draft(tag)
        assets = self._open(release)
        found = assets.all()
        names = [asset.name for asset in found]
        for asset in found:
            if names.count(asset.name) > 1:
                assets.delete(asset)
        return frozenset(name for name in names if names.count(name) == 1)

    def upload(self, tag: str, name: str, length: int, chunks: Callable[[], Iterator[bytes]]) -> None:
        """Put an asset into the draft of *tag*, in place of one of that name."""
        assets = self._assets(tag)
        assets.remove(name)
        assets.add(name, length, chunks)

    def discard(self, tag: str, name: str) -> None:
        """Take an asset out of the draft of *tag*."""
        self._assets(tag).remove(name)

    def read(self, tag: str, name: str) -> Iterator[bytes]:
        """Read an asset back."""
        assets = self._assets(tag)
        return assets.read(assets.one(name))

    def publish(self, tag: str) -> None:
        """Let readers see the draft of *tag*, and see that they do."""
        assets = self._assets(tag)
        found = assets.by_name()
        self._confirm()
        shown = self._api.edit_release(assets.release, {"draft": False, "tag_name": tag} | self._options())
        if shown.draft or shown.tag_name != tag:
            raise BackendError("stayed a draft although the server was asked to publish it", place=tag)
        self._check_tag(tag, absent_is_fine=False)
        visible.check(self._api.http, list(found.values()), tag)

    def metadata_names(self) -> frozenset[str]:
        """Return the names of all metadata files."""
        trust = self._trust()
        return frozenset() if trust is None else frozenset(filter(_METADATA.fullmatch, timestamp.settled(trust)))

    def read_metadata(self, name: str) -> bytes:
        """Return one metadata file."""
        trust = self._known_trust()
        asset = timestamp.settled(trust).get(name)
        if asset is None:
            raise BackendError("is not there", place=f"{TRUST}/{name}")
        data = bytearray()
        for chunk in trust.read(asset):
            data += chunk
            if len(data) > _MAX_METADATA:
                raise BackendError("is larger than any metadata", place=f"{TRUST}/{name}")
        if len(data) != asset.size:
            raise BackendError(
                f"arrives with {len(data)} bytes where the server lists {asset.size}",
                place=f"{TRUST}/{name}",
                hint="a cache in between may be stale; try again later",
            )
        if name == timestamp.TIMESTAMP:
            self._timestamp = bytes(data)
        return bytes(data)

    def add_metadata(self, name: str, data: bytes) -> None:
        """Add `N.<role>.json`; never overwrites."""
        trust = self._known_trust()
        if name in trust.by_name():
            if self.read_metadata(name) != data:
                raise ConflictError(
                    "exists with other bytes; numbered metadata are added and never changed", place=f"{TRUST}/{name}"
                )
            return
        self._confirm()
        added = trust.add(name, len(data), lambda: iter((data,)))
        # Read back by its number: were there a second of that name, it would be seen now.
        if b"".join(trust.read(added)) != data:
            trust.delete(added)
            raise BackendError("reads back with other bytes than were uploaded", place=f"{TRUST}/{name}")
        trust.one(name)

    def replace_timestamp(self, data: bytes) -> None:
        """Replace `timestamp.json`, unless it is another than was read: then somebody else was at work."""
        if self._lock is None:
            raise BackendError("is replaced under the lock alone", place=f"{TRUST}/{timestamp.TIMESTAMP}")
        trust = self._known_trust()
        timestamp.replace(trust, data, self._lock, self._timestamp)
        self._timestamp = data
        visible.await_timestamp(self._api.http, trust.one(timestamp.TIMESTAMP), data)

    def _single(self, tag: str, *, draft: bool) -> Release | None:
        """Return the release or the draft of *tag*, of which there may be one."""
        found = [release for release in self._api.releases(tag) if release.draft == draft]
        if len(found) > 1:
            numbers = ", ".join(str(release.id) for release in found)
            raise BackendError(
                f"there are {len(found)} {'drafts' if draft else 'releases'} of this tag: {numbers}",
                place=tag,
                hint="delete those that do not belong there, and run the same command again",
            )
        return found[0] if found else None

    def _options(self) -> dict[str, object]:
        """Return what a release looks like; said again when it is shown, as another run may have made the draft."""
        options: dict[str, object] = {"prerelease": self._presentation.prerelease}
        if self._presentation.target is not None:
            options["target_commitish"] = self._presentation.target
        return options

    def _check_tag(self, tag: str, *, absent_is_fine: bool) -> None:
        """Raise `ConflictError` when the tag names another commit than was built. A branch as target is not checked."""
        target = self._presentation.target
        if target is None or not _COMMIT.fullmatch(target):
            return
        named = self._api.commits_of(tag)
        if target not in named and (named or not absent_is_fine):
            raise ConflictError(
                f"names commit {named[-1] if named else 'none'}, and what is published was made from {target}",
                place=tag,
                hint="publish from the tagged commit, or use a new tag",
            )

    def _make_draft(self, tag: str) -> Release:
        options = {"tag_name": tag, "name": tag, "draft": True} | self._options()
        release = self._api.make_release(options) or self._single(tag, draft=True)
        if release is None:
            raise BackendError("was made by somebody else meanwhile", place=tag, hint="look at it, then run this again")
        return release

    def _make_trust(self) -> ReleaseAssets:
        options = {"tag_name": TRUST, "name": "Trust", "body": _TRUST_BODY, "draft": False, "prerelease": True}
        made = self._api.make_release(options)
        trust = self._open(made) if made is not None else self._trust()
        if trust is None:
            raise BackendError(
                "is a draft, which readers do not see", place=TRUST, hint="publish it, then run the same command again"
            )
        return trust

    def _trust(self) -> ReleaseAssets | None:
        if TRUST not in self._opened:
            release = self._single(TRUST, draft=False)
            if release is None:
                return None
            self._open(release)
        return self._opened[TRUST]

    def _known_trust(self) -> ReleaseAssets:
        trust = self._trust()
        if trust is None:
            raise BackendError("there is no such release", place=TRUST, hint="`ec-release trust init` comes first")
        return trust

    def _open(self, release: Release) -> ReleaseAssets:
        return self._opened.setdefault(release.tag_name, ReleaseAssets(self._api, release.id, release.tag_name))

    def _assets(self, tag: str) -> ReleaseAssets:
        if tag not in self._opened:
            release = self._single(tag, draft=False) or self._single(tag, draft=True)
            if release is None:
                raise BackendError("there is no such release", place=tag)
            self._open(release)
        return self._opened[tag]

    def _confirm(self) -> None:
        if self._lock is not None:
            self._lock.confirm()
