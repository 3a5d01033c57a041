"""What the tests of fetching share: a published repository to attack, and clients to fool."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import stamina
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadError, DownloadHTTPError
from tuf.api.metadata import Metadata, Root
from tuf.ngclient.fetcher import FetcherInterface

from ec_closure import manifest
from ec_fetch.client import TrustClient, TrustSettings
from ec_fetch.fetcher import ReleaseFetcher
from ec_release.backend.directory import DirectoryBackend
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.ceremony import apply, propose, read_pending
from ec_release.trust.initialise import initialise
from ec_release.trust.keys import load_ring
from ec_release.trust.roles import Periods
from ec_release.trust.update import Signing, describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tuf.ngclient.fetcher import FetcherInterface as Fetcher

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_SRI = "sha256-" + "A" * 43 + "="


def store_path(name: str) -> str:
    """Return a store path called *name*."""
    return f"/nix/store/{'0' * 32}-{name}"


class Counting(FetcherInterface):
    """Passes on to the real fetcher, keeps what was asked for, and fails where told to."""

    def __init__(self, broken: dict[str, Exception] | None = None) -> None:
        self.asked: list[str] = []
        self.broken = broken or {}
        self._inner = ReleaseFetcher()

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.rpartition("/")[2]
        self.asked.append(name)
        if name in self.broken:
            raise self.broken[name]
        return self._inner.fetch(url)


@dataclass
class World:
    """A repository in *tree*, its keys in *keys*, and a clock that stands at *time* until told otherwise."""

    path: Path
    time: datetime = NOW
    periods: Periods = field(default_factory=Periods)
    root_keys: int = 1
    root_threshold: int = 1

    def __post_init__(self) -> None:
        self.tree, self.keys = self.path / "tree", self.path / "keys"
        self.backend = DirectoryBackend(self.tree)
        self.trust = self.backend.trust
        initialise(
            self.backend,
            self.keys,
            root_keys=self.root_keys,
            root_threshold=self.root_threshold,
            time=self.time,
            periods=self.periods,
        )
        self.root = (self.keys / "root.json").read_bytes()

    @property
    def signing(self) -> Signing:
        """All keys, and the time."""
        return Signing(load_ring([self.keys]), self.time, self.periods)

    def manifest(self, toplevel: str, tag: str, version: int) -> bytes:
        """Return the manifest of a system that is one path."""
        out = store_path(toplevel)
        return manifest.encode(
            manifest.Manifest(
                release=manifest.Release(tag=tag, version=version, issued=0),
                source=manifest.Source(nar_hash=_SRI, store_path=store_path("source")),
                system=manifest.System(
                    name=toplevel, attr=toplevel, platform="x86_64-linux", drv_path=out + ".drv", out_path=out
                ),
                builder=manifest.Builder(nix="2.8.0", sandbox=True, platform="x86_64-linux"),
                paths=(
                    manifest.PathRecord(
                        path=out, nar_hash=_SRI, nar_size=1, origin="built", deriver=out + ".drv", output="out"
                    ),
                ),
            )
        )

    def release(self, version: int, *toplevels: str) -> dict[str, Path]:
        """Publish release *version* with the manifests of *toplevels* and a small image; return the published files."""
        tag = f"v{version}"
        scratch = self.path / f"assets-{tag}"
        scratch.mkdir()
        (scratch / "disk.img").write_bytes(b"image " + tag.encode())
        closures = [scratch / f"{toplevel}.closure.json.zst" for toplevel in toplevels]
        for path, toplevel in zip(closures, toplevels, strict=True):
            path.write_bytes(self.manifest(toplevel, tag, version))
        publish(self.backend, plan.make(tag, version, [scratch / "disk.img"], closures), self.signing, self.root)
        return {path.name: path for path in (self.tree / "download" / tag).iterdir()}

    def rotate(self, edit: Callable[[Root], None]) -> None:
        """Change the root with all keys at hand."""
        pending = self.path / "pending.json"
        propose(self.backend, self.signing, self.root, pending, edit)
        apply(self.backend, self.signing, self.root, read_pending(pending))
        pending.unlink()

    def signers(self, role: str) -> list[CryptoSigner]:
        """Return the keys that the newest root gives *role*."""
        ring = load_ring([self.keys])
        return [ring.signers[keyid] for keyid in self.newest("root").signed.roles[role].keyids if keyid in ring.signers]

    def newest(self, role: str) -> Metadata[Any]:
        """Return the newest metadata of *role*."""
        found = [Metadata.from_bytes(path.read_bytes()) for path in self.trust.glob(f"*{role}.json")]
        return max(found, key=lambda metadata: int(metadata.signed.version))

    def forge(
        self, role: str, change: Callable[[Any], object] = bool, *, keys: list[CryptoSigner] | None = None
    ) -> None:
        """Replace the newest metadata of *role* by a changed one, signed with *keys* (default: the right ones).

        What refers to it is made to agree, with new versions, as somebody could who holds those keys.
        """
        metadata = self.newest(role)
        change(metadata.signed)
        metadata.signatures.clear()
        for key in self.signers(role) if keys is None else keys:
            metadata.sign(key, append=True)
        version, data = metadata.signed.version, metadata.to_bytes()
        name = "timestamp.json" if role == "timestamp" else f"{version}.{role}.json"
        (self.trust / name).write_bytes(data)
        if role == "targets":
            self.forge("snapshot", lambda signed: _next(signed, meta={"targets.json": describe(data, version)}))
        if role == "snapshot":
            self.forge("timestamp", lambda signed: _next(signed, snapshot_meta=describe(data, version)))

    def settings(self, state: str = "state", **changes: Any) -> TrustSettings:
        """Return settings for a client that reads the tree as files."""
        base = f"{self.tree.as_uri()}/download/"
        given: dict[str, Any] = {
            "metadata_base": f"{base}trust/",
            "target_base": base,
            "root": self.root,
            "state_dir": self.path / state,
        }
        return TrustSettings(**(given | changes))

    def client(self, state: str = "state", *, fetcher: Fetcher | None = None, **changes: Any) -> TrustClient:
        """Return a client at the world's time."""
        return TrustClient(self.settings(state, **changes), reference_time=self.time, fetcher=fetcher)

    def keep(self) -> dict[str, bytes]:
        """Return all metadata as they are now, to show them again later."""
        return {path.name: path.read_bytes() for path in self.trust.iterdir()}

    def show(self, files: dict[str, bytes]) -> None:
        """Let the server show *files* and nothing else."""
        for path in self.trust.iterdir():
            path.unlink()
        for name, data in files.items():
            (self.trust / name).write_bytes(data)

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.time += timedelta(**by)


def _next(signed: Any, **values: Any) -> None:
    signed.version += 1
    for name, value in values.items():
        setattr(signed, name, value)


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    """Retry without waiting."""
    with stamina.set_testing(True, attempts=3, cap=True):
        yield


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave flushing to the disk out: it takes long on a busy machine, and only a power cut would show it."""
    monkeypatch.setattr("os.fsync", bool)


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    """Give a function that makes a repository: its arguments are those of the world."""
    return lambda **settings: World(tmp_path, **settings)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """Give a repository with one release of one system, `runner`."""
    made = make_world()
    made.release(1, "runner")
    return made


@pytest.fixture
def stranger() -> CryptoSigner:
    """Give a key that nobody knows."""
    return CryptoSigner.generate_ed25519()


@pytest.fixture
def counting() -> type[Counting]:
    """Give the fetcher that counts."""
    return Counting


@pytest.fixture
def gone() -> Callable[[int], Exception]:
    """Give what a fetcher raises for an HTTP status; 0 for a lost line."""
    return lambda status: DownloadHTTPError(f"HTTP status {status}", status) if status else DownloadError("line lost")
