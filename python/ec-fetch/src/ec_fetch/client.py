"""The client: refresh what is trusted, find a target, download it. Nothing unverified comes out."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ec_closure import files
from ec_closure.errors import TransportError, TrustError, UsageError
from ec_fetch import strict, updater
from ec_fetch.errors import (
    DamagedStateError,
    MirrorError,
    NoMetadataError,
    NoTargetError,
    OfflineError,
    RolledBackError,
    StaleMirrorError,
    StateError,
)
from ec_fetch.fetcher import ReleaseFetcher
from ec_fetch.origin import check_address
from ec_fetch.replay import Stored, Verified, replay
from ec_fetch.state import StateDirectory
from ec_fetch.strict import StrictFetcher
from ec_fetch.targets import Asset, ClosureTarget, assets, choose, closures, sha256_of
from ec_fetch.token import read_token
from ec_fetch.translate import translated
from ec_fetch.trusted import TrustedState, describe

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tuf.api.metadata import TargetFile
    from tuf.ngclient import Updater
    from tuf.ngclient.fetcher import FetcherInterface

    from ec_fetch.mirror import Mirror
    from ec_fetch.state import LastVerified

_NEWEST = "timestamp.json"


@dataclass(frozen=True)
class TrustSettings:
    """Where releases are and what vouches for them.

    *metadata_base* and *target_base* are addresses (``file://``, ``http://``, ``https://``) of the directories
    ``…/releases/download/trust/`` and ``…/releases/download/``. *root* is the pinned root's bytes. The token goes to
    the origin of *metadata_base* only. *proxy* is an address; the environment's proxies are not used. *ca_file*
    replaces the system's certificate authorities. *deadline* in seconds, *min_speed* in bytes per second. Downloads
    that are not verified yet lie in *scratch*, without a name; None for the system's temporary directory.
    *kept_targets* are how many downloaded targets are kept, the newest.
    """

    metadata_base: str
    target_base: str
    root: bytes
    state_dir: Path
    token_file: Path | None = None
    proxy: str | None = None
    ca_file: Path | None = None
    deadline: float = 120.0
    min_speed: int = 1024
    kept_targets: int = 16
    scratch: Path | None = None


class TrustClient:
    """A TUF client with a memory in *settings.state_dir*.

    *reference_time* is what expiry is compared with; no clock is read. *fetcher* replaces the network.
    Call `refresh`, `adopt` or `offline` first; then `find` and `download` answer from that state.

    Raises `UsageError` for settings that make no sense, `MetadataError` for a pinned root that is no root, `StateError`
    when the state directory cannot be made.
    """

    def __init__(
        self, settings: TrustSettings, *, reference_time: datetime, fetcher: FetcherInterface | None = None
    ) -> None:
        if reference_time.tzinfo is None:
            raise UsageError("the reference time needs a time zone")
        check_address(settings.metadata_base, what="metadata_base")
        check_address(settings.target_base, what="target_base")
        strict.check_root(settings.root)
        self._settings = settings
        self._time = reference_time
        self._inner = fetcher
        self._state = StateDirectory(settings.state_dir)
        self._closures: list[ClosureTarget] | None = None
        self._targets: dict[str, TargetFile] = {}
        self._offline = True
        self._mirror: Mirror | None = None
        self._files: dict[str, bytes] = {}

    def refresh(self) -> TrustedState:
        """Fetch and verify root, timestamp, snapshot and targets; remember them.

        Raises `RefusedError`, `FetchError`, `MetadataError` and its subclasses, `StateError` and its subclasses. What
        was remembered before stays as it was when this fails, except that newer verified files are kept.
        """
        with self._state.locked():
            return self._refresh(StrictFetcher(self._fetcher()), self._now, offline=False)

    def adopt(self, mirror: Mirror) -> TrustedState:
        """Do as `refresh` does, with what *mirror* holds in place of a server; `download` takes targets from it, too.

        When this state was first seen is the time that its age is counted from where the publisher does not sign one:
        nobody can make it younger. Raises what `refresh` raises, `NoMetadataError` and `MirrorError`;
        `StaleMirrorError` when this client has been online since: then `offline` has the newer state.
        """
        self._mirror = mirror
        brought = mirror.load()
        with self._state.locked():
            try:
                before: LastVerified | None = self._state.load()
            except NoMetadataError:
                before = None
            seen = self._now
            if before is not None and before.files.get(_NEWEST) == brought.files.get(_NEWEST):
                seen = min(seen, before.refreshed)
            try:
                return self._refresh(StrictFetcher(Stored(brought.files)), seen, offline=True)
            except RolledBackError as error:
                if before is None or brought.refreshed > before.refreshed:
                    raise
                raise StaleMirrorError("older than what was verified here since", place=error.place) from error
            except TransportError as error:
                raise MirrorError(f"not whole: {error.message}", place=error.place) from error

    def _refresh(self, fetcher: StrictFetcher, refreshed: int, *, offline: bool) -> TrustedState:
        """Hold the lock."""
        with translated(fetcher):
            self._state.check(self._settings.root)
            self._updater(fetcher).refresh()
        record = self._state.collect(refreshed)
        state = self._accept(replay(record.files, self._settings.root), record, offline=offline)
        # Only now: what a publisher signed but we cannot read must not take the place of the last whole state.
        self._state.save(record)
        return state

    def offline(self) -> TrustedState:
        """Return the last complete state, verified again from the pinned root; no network.

        Expiry is reported in the result, not refused: the caller's policy decides. Raises `NoMetadataError`,
        `DamagedStateError`.
        """
        record = self._state.load()
        try:
            verified = replay(record.files, self._settings.root)
        except (TrustError, TransportError) as error:
            raise DamagedStateError(
                f"does not verify from the pinned root: {error}",
                place=str(self._state.bundle),
                hint="the file was changed, or another root is pinned now; bring the node online",
            ) from error
        return self._accept(verified, record, offline=True)

    @property
    def _now(self) -> int:
        return max(0, int(self._time.timestamp()))

    def closures(self) -> list[ClosureTarget]:
        """Return every closure that the trusted targets describe, by name."""
        if self._closures is None:
            raise UsageError("refresh(), adopt() or offline() comes first")
        return list(self._closures)

    def assets(self) -> list[Asset]:
        """Return every published file that the trusted targets describe, manifests included, by name."""
        self.closures()
        return assets(self._targets)

    @property
    def metadata(self) -> dict[str, bytes]:
        """The verified metadata files by name, from which `replay` gives the same state; empty before the first."""
        return dict(self._files)

    def find(self, toplevel: str) -> ClosureTarget:
        """Return the manifest of *toplevel*, or that it is a specialisation of, with the highest release version.

        Raises `NoTargetError`; `MetadataError` when two of one version disagree.
        """
        return choose(self.closures(), toplevel)

    def find_all(self, toplevels: Iterable[str]) -> dict[str, ClosureTarget]:
        """Return `find` for each of *toplevels* that is described; those that are not are left out."""
        known = self.closures()
        described = {path for closure in known for path in (closure.toplevel, *closure.specialisations)}
        return {toplevel: choose(known, toplevel) for toplevel in toplevels if toplevel in described}

    def download(self, target: ClosureTarget) -> bytes:
        """Return the bytes of *target*, whose length and hash are the signed ones.

        Kept in the state directory under their digest and hashed again at each call. Raises `TargetMismatchError`,
        `FetchError`, `OfflineError` (not kept, and the state is an offline one), `MirrorError`, `NoTargetError`.
        """
        if target not in self.closures():
            raise NoTargetError("is not in the trusted metadata", place=target.name)
        kept = self._state.targets / target.sha256
        data = _read_kept(kept, target)
        if data is None:
            data = self._brought(target, kept)
            if data is None:
                self.download_to(target.name, kept)
                data = _read_kept(kept, target)
            self._state.prune(self._settings.kept_targets)
        if data is None:
            raise StateError("changed while it was read", place=str(kept))
        return data

    def _brought(self, target: ClosureTarget, kept: Path) -> bytes | None:
        """Return the bytes of *target* from the mirror, if there is one that has them, and keep a copy."""
        data = self._mirror.target(target) if self._mirror is not None else None
        if data is not None:
            try:
                with files.replacing(kept) as file:
                    file.write(data)
            except OSError as error:
                raise StateError(error.strerror or str(error), place=str(error.filename or kept)) from error
        return data

    def download_to(self, name: str, destination: Path) -> None:
        """Download the signed target *name* (``<tag>/<asset>``) to *destination*, which appears only when verified.

        For what is too large to hold, such as boot images. Raises as `download` does.
        """
        self.closures()
        target = self._targets.get(name)
        if target is None:
            raise NoTargetError("is not in the trusted metadata", place=name)
        sha256_of(name, target)
        if self._offline:
            raise OfflineError("was not downloaded before", place=name, hint="bring the node online")
        fetcher = StrictFetcher(self._fetcher())
        try:
            with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".download-") as scratch:
                aside = Path(scratch) / "target"
                with translated(fetcher, target=name):
                    self._updater(fetcher).download_target(target, str(aside))
                files.sync(aside)
                aside.replace(destination)
            files.sync_directory(destination.parent)
        except OSError as error:
            raise StateError(error.strerror or str(error), place=str(error.filename or destination)) from error

    def _updater(self, fetcher: StrictFetcher) -> Updater:
        return updater.make(
            self._state.metadata,
            fetcher,
            metadata_base=self._settings.metadata_base,
            target_base=self._settings.target_base,
            root=self._settings.root,
            time=self._time,
        )

    def _fetcher(self) -> FetcherInterface:
        if self._inner is None:
            settings = self._settings
            self._inner = ReleaseFetcher(
                token=read_token(settings.token_file) if settings.token_file else None,
                token_origin=settings.metadata_base,
                proxy=settings.proxy,
                ca_file=settings.ca_file,
                deadline=settings.deadline,
                min_speed=settings.min_speed,
                scratch=settings.scratch,
            )
        return self._inner

    def _accept(self, verified: Verified, record: LastVerified, *, offline: bool) -> TrustedState:
        known = closures(verified.targets)
        state = describe(verified, known, refreshed=record.refreshed, reference_time=self._time, offline=offline)
        self._closures = known
        self._targets = dict(verified.targets.targets)
        self._offline = offline
        self._files = record.files
        return state


def _read_kept(path: Path, target: ClosureTarget) -> bytes | None:
    try:
        with path.open("rb") as file:
            data = file.read(target.length + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(error.strerror or str(error), place=str(path)) from error
    if len(data) != target.length or hashlib.sha256(data).hexdigest() != target.sha256:
        # A cache is no memory: damage here costs a download, and the fresh copy replaces it.
        return None
    return data
