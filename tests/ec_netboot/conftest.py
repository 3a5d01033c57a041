"""What the tests of the boot server share: images, a place that publishes them, and a server's configuration."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import zstandard

from ec_closure import manifest
from ec_netboot import config as configuration
from ec_netboot.staging.stage import Outcome, Wish, stage
from ec_netboot.state import State
from ec_release.backend.directory import DirectoryBackend
from ec_release.publishing import plan
from ec_release.publishing.publish import publish
from ec_release.trust.change import change_targets
from ec_release.trust.initialise import initialise
from ec_release.trust.keys import load_ring
from ec_release.trust.roles import Periods
from ec_release.trust.standing import raise_minimum, withdraw
from ec_release.trust.update import Signing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ec_netboot.config import Config

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
_SRI = "sha256-" + "A" * 43 + "="
_REVISION = "0123abc"


def toplevel(version: int, platform: str = "x86_64") -> str:
    """Return the system of release *version*."""
    return f"/nix/store/{'0' * 32}-nixos-system-ec-runner-{platform}-{version}"


@dataclass
class Image:
    """The files of an image; `archive` packs them as a release does."""

    version: int
    platform: str = "x86_64"
    boot_initrd: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        system = toplevel(self.version, self.platform)
        self.boot_initrd = self.boot_initrd or b"stage 1 of %d" % self.version
        self.files = self.files or {
            "kernel": b"kernel of %d" % self.version * 100,
            "initrd": self.boot_initrd + b"squashfs of %d" % self.version * 500,
            "netboot.ipxe": (
                "#!ipxe\n"
                "# Use the cmdline variable to allow the user to specify custom kernel params\n"
                f"kernel bzImage init={system}/init initrd=initrd loglevel=4 lsm=landlock,yama,bpf ${{cmdline}}\n"
                "initrd initrd\n"
                "boot\n"
            ).encode(),
        }

    def archive(self) -> bytes:
        """Return the archive."""
        return pack([(f"./{name}", data) for name, data in self.files.items()])


def pack(entries: list[tuple[str | tarfile.TarInfo, bytes]], how: int = tarfile.GNU_FORMAT) -> bytes:
    """Return a compressed archive of *entries*: a name, or a whole header, with its bytes."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=how) as archive:
        for name, data in entries:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            if info.isreg():
                info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return zstandard.compress(raw.getvalue())


@dataclass
class World:
    """Below *path*, a repository that publishes images, and the boot server that stages them."""

    path: Path
    time: datetime = NOW

    def __post_init__(self) -> None:
        self.tree, self.keys = self.path / "tree", self.path / "keys"
        self.backend = DirectoryBackend(self.tree)
        self.state = State(self.path / "state")

    def initialise(self) -> None:
        """Make keys and the first metadata."""
        initialise(self.backend, self.keys, root_keys=1, root_threshold=1, time=self.time, periods=Periods())

    @property
    def root(self) -> bytes:
        """The first root."""
        return (self.keys / "root.json").read_bytes()

    @property
    def signing(self) -> Signing:
        """All keys, and the time."""
        return Signing(load_ring([self.keys]), self.time, Periods())

    def config(self, text: str = "", platforms: str = '["x86_64"]') -> Config:
        """Return the configuration of the boot server, with *text* after its own keys."""
        return configuration.decode(self.toml(text, platforms).encode())

    def toml(self, text: str = "", platforms: str = '["x86_64"]') -> str:
        """Return netboot.toml."""
        base = f"{self.tree.as_uri()}/download/"
        return (
            f'state_dir = "{self.state.path}"\nplatforms = {platforms}\n'
            f'[trust]\nroot = "{self.keys}/root.json"\nmetadata_base = "{base}trust/"\ntarget_base = "{base}"\n{text}'
        )

    def manifest(self, image: Image, tag: str, **changes: Any) -> bytes:
        """Return the manifest of the system that *image* boots."""
        out = toplevel(image.version, image.platform)
        kernel = image.files["kernel"]
        said: dict[str, Any] = {
            "release": manifest.Release(tag=tag, version=image.version, issued=0),
            "source": manifest.Source(nar_hash=_SRI, store_path=f"/nix/store/{'1' * 32}-source"),
            "system": manifest.System(
                name=f"ec-runner-{image.platform}-netboot",
                attr="runner",
                platform="x86_64-linux",
                drv_path=out + ".drv",
                out_path=out,
            ),
            "builder": manifest.Builder(nix="2.8.0", sandbox=True, platform="x86_64-linux"),
            "paths": (
                manifest.PathRecord(
                    path=out, nar_hash=_SRI, nar_size=1, origin="built", deriver=out + ".drv", output="out"
                ),
            ),
            "boot": tuple(
                manifest.BootFile(name=name, store_path=out, sha256=sha256(data), size=len(data))
                for name, data in (("initrd", image.boot_initrd), ("kernel", kernel))
            ),
        }
        return manifest.encode(manifest.Manifest(**(said | changes)))

    def publish(
        self, *images: Image, tag: str = "", manifests: dict[str, bytes] | None = None, names: tuple[str, ...] = ()
    ) -> str:
        """Publish one release with *images*; return its tag. *manifests* and *names* replace the usual ones."""
        version = images[0].version
        tag = tag or f"boot-v{version}"
        scratch = self.path / f"assets-{tag}"
        scratch.mkdir()
        assets = []
        for number, image in enumerate(images):
            usual = f"ec-runner-{image.platform}-netboot-{tag}-{_REVISION}.tar.zst"
            assets.append(scratch / (names[number] if names else usual))
            assets[-1].write_bytes(image.archive())
        if manifests is None:
            manifests = {f"ec-runner-{image.platform}-netboot": self.manifest(image, tag) for image in images}
        closures = []
        for name, data in manifests.items():
            closures.append(scratch / f"{name}.closure.json.zst")
            closures[-1].write_bytes(data)
        publish(self.backend, plan.make(tag, version, assets, closures), self.signing, self.root)
        return tag

    def withdraw(self, *versions: int) -> None:
        """Withdraw releases."""
        change_targets(self.backend, self.signing, self.root, lambda targets: withdraw(targets, set(versions)))

    def set_min_version(self, version: int) -> None:
        """Set the lowest acceptable release."""
        change_targets(self.backend, self.signing, self.root, lambda targets: raise_minimum(targets, version))

    def stage(self, config: Config | None = None, **wish: Any) -> list[Outcome]:
        """Stage what *wish* asks for."""
        found = config or self.config()
        return stage(found, self.state, found.platforms, time=self.time, wish=Wish(**wish))

    def served(self, platform: Any = "x86_64") -> int | None:
        """Return the version of the release that is served, after looking at its bytes."""
        from ec_netboot import staged

        generation = self.state.current(platform)
        if generation is None:
            return None
        release = staged.load(self.state, generation.release).release
        expected = Image(release.version or 1, platform).files
        if release.version:
            for name, data in expected.items():
                assert data == (self.state.releases / generation.release / name).read_bytes()
        return release.version

    def later(self, **by: float) -> None:
        """Let time pass."""
        self.time += timedelta(**by)


def sha256(data: bytes) -> str:
    """Return the digest of *data*."""
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def _no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave flushing to the disk out: it takes long on a busy machine, and only a power cut would show it."""
    monkeypatch.setattr("os.fsync", bool)


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Undo what a command of ours configured: its standard error is gone when the test is over."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Give a repository without releases, and a boot server that stages from it."""
    made = World(tmp_path)
    made.initialise()
    return made


@pytest.fixture(scope="session")
def make_image() -> type[Image]:
    """Give the class of images."""
    return Image


@pytest.fixture(scope="session")
def make_world() -> type[World]:
    """Give the class of worlds, for tests that need several."""
    return World


@pytest.fixture(scope="session")
def make_archive() -> Callable[..., bytes]:
    """Give a function that packs entries into an archive."""
    return pack


@pytest.fixture
def command(world: World, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Give a function that runs `ec-netboot` and returns exit code, standard output and standard error."""
    from ec_netboot.main import run

    file = world.path / "netboot.toml"
    file.write_text(world.toml())

    def call(*arguments: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([str(argument) for argument in [*arguments, "--config", file]])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call
