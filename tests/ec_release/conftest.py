"""What the tests of releasing share: a place to publish to, files to publish, and a reader who looks at it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure import manifest
from ec_fetch.client import TrustClient, TrustSettings
from ec_release.backend.directory import DirectoryBackend
from ec_release.publishing import plan
from ec_release.publishing.publish import Outcome, publish
from ec_release.trust.initialise import Initialised, initialise
from ec_release.trust.keys import load_ring
from ec_release.trust.roles import Periods
from ec_release.trust.update import Signing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SRI = "sha256-" + "A" * 43 + "="
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@dataclass
class Place:
    """A repository below *path*: `tree` is published, `keys` holds all keys."""

    path: Path
    time: datetime = NOW

    def __post_init__(self) -> None:
        self.tree, self.keys = self.path / "tree", self.path / "keys"
        self.backend = DirectoryBackend(self.tree)

    def initialise(self, *, keys: int = 1, threshold: int = 1) -> Initialised:
        """Make keys and the first metadata."""
        return initialise(
            self.backend, self.keys, root_keys=keys, root_threshold=threshold, time=self.time, periods=Periods()
        )

    @property
    def root(self) -> bytes:
        """The first root."""
        return (self.keys / "root.json").read_bytes()

    @property
    def signing(self) -> Signing:
        """All keys, and the time."""
        return Signing(load_ring([self.keys]), self.time, Periods())

    def assets(self, version: int, **artifacts: bytes) -> tuple[list[Path], list[Path]]:
        """Write the files of a release; return images and manifests. *artifacts* are named in the manifest."""
        scratch = self.path / f"assets-{version}"
        scratch.mkdir(exist_ok=True)
        (scratch / "disk.img").write_bytes(b"image %d" % version)
        (scratch / "runner.closure.json.zst").write_bytes(self.manifest(version, artifacts))
        return [scratch / "disk.img"], [scratch / "runner.closure.json.zst"]

    def manifest(self, version: int, artifacts: dict[str, bytes] | None = None, tag: str | None = None) -> bytes:
        """Return the manifest of a system of one path."""
        out = f"/nix/store/{'0' * 32}-runner-{version}"
        return manifest.encode(
            manifest.Manifest(
                release=manifest.Release(tag=tag or f"v{version}", version=version, issued=0),
                source=manifest.Source(nar_hash=_SRI, store_path=f"/nix/store/{'1' * 32}-source"),
                system=manifest.System(
                    name="runner", attr="runner", platform="x86_64-linux", drv_path=out + ".drv", out_path=out
                ),
                builder=manifest.Builder(nix="2.8.0", sandbox=True, platform="x86_64-linux"),
                paths=(
                    manifest.PathRecord(
                        path=out, nar_hash=_SRI, nar_size=1, origin="built", deriver=out + ".drv", output="out"
                    ),
                ),
                artifacts=tuple(
                    manifest.Artifact(name=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
                    for name, data in (artifacts or {}).items()
                ),
            )
        )

    def publish(self, version: int) -> Outcome:
        """Publish release *version*."""
        images, closures = self.assets(version)
        return publish(self.backend, plan.make(f"v{version}", version, images, closures), self.signing, self.root)

    def reader(self, state: str = "reader", root: bytes | None = None) -> TrustClient:
        """Return a node."""
        base = f"{self.tree.as_uri()}/download/"
        settings = TrustSettings(f"{base}trust/", base, root or self.root, self.path / state)
        return TrustClient(settings, reference_time=self.time)

    def files(self) -> dict[str, bytes]:
        """Return what is published: every file below `download`, by path."""
        top = self.tree / "download"
        return {str(path.relative_to(top)): path.read_bytes() for path in sorted(top.rglob("*")) if path.is_file()}

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.time += timedelta(**by)


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave flushing to the disk out: it takes long on a busy machine, and only a power cut would show it."""
    monkeypatch.setattr("os.fsync", bool)


@pytest.fixture
def new_place(tmp_path: Path) -> Place:
    """Give a place where nothing was published yet."""
    return Place(tmp_path)


@pytest.fixture
def place(new_place: Place) -> Place:
    """Give an initialised repository without releases."""
    new_place.initialise()
    return new_place


@pytest.fixture
def make_place() -> Callable[..., Any]:
    """Give the class of places, for tests that need several."""
    return Place


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Give a function that runs `ec-release` and returns exit code, standard output and standard error."""
    from ec_release.main import run

    def call(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
