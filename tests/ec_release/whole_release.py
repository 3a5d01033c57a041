"""A whole release on the disk, with everything that is said about it; and what publishes it and looks at it."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ec_closure import manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COSIGN = shutil.which("cosign")
SRI = "sha256-" + "A" * 43 + "="
OTHER_SRI = "sha256-" + "B" * 42 + "A="
LOCK = json.dumps(
    {
        "version": 7,
        "root": "root",
        "nodes": {
            "root": {"inputs": {"nixpkgs": "nixpkgs"}},
            "nixpkgs": {
                "locked": {
                    "type": "github",
                    "owner": "NixOS",
                    "repo": "nixpkgs",
                    "rev": "b" * 40,
                    "narHash": SRI,
                }
            },
        },
    }
).encode()


SOURCE = manifest.Source(
    nar_hash=SRI,
    store_path=f"/nix/store/{'1' * 32}-source",
    rev="a" * 40,
    lock_hash=hashlib.sha256(LOCK).hexdigest(),
    inputs={"nixpkgs": manifest.FlakeInput(nar_hash=SRI, store_path=f"/nix/store/{'2' * 32}-source")},
)


def described(
    tag: str = "v1", version: int = 1, name: str = "runner", source: manifest.Source = SOURCE
) -> manifest.Manifest:
    """Return the manifest of a system of a few packages."""
    names = [f"/nix/store/{'0' * 32}-glibc-2.39-52-bin", f"/nix/store/{'1' * 32}-etc-fstab"]
    out = f"/nix/store/{'9' * 32}-{name}"
    return manifest.Manifest(
        release=manifest.Release(tag=tag, version=version, issued=1_790_000_000),
        source=source,
        system=manifest.System(
            name=name, attr=f"systems.{name}", platform="x86_64-linux", drv_path=out + ".drv", out_path=out
        ),
        builder=manifest.Builder(nix="2.8.0", sandbox=True, platform="x86_64-linux"),
        paths=(
            manifest.PathRecord(
                path=names[0],
                nar_hash=OTHER_SRI,
                nar_size=9,
                references=(0,),
                deriver=names[0].removesuffix("-bin") + ".drv",
                output="bin",
                origin="substituted",
                cache="cache.example.org-1",
            ),
            manifest.PathRecord(path=names[1], nar_hash=SRI, nar_size=3, origin="copied", ca="text:sha256:" + "0" * 52),
            manifest.PathRecord(
                path=out,
                nar_hash=SRI,
                nar_size=1,
                references=(0, 1, 2),
                deriver=out + ".drv",
                output="out",
                origin="built",
            ),
        ),
    )


@dataclass
class Release:
    """The files of a release in *directory*, and a repository *place* to publish it to."""

    directory: Path
    place: Any
    command: Callable[..., tuple[int, str, str]]
    tag: str = "v1"
    version: int = 1
    source: manifest.Source = SOURCE

    def write(self) -> None:
        """Write an image, a manifest and the lock file, and what our commands make of them."""
        self.directory.mkdir(exist_ok=True)
        (self.directory / "disk.img").write_bytes(b"image")
        (self.directory / "flake.lock").write_bytes(LOCK)
        self.manifest_file.write_bytes(manifest.encode(described(self.tag, self.version, source=self.source)))
        self.run("sbom", self.manifest_file, "--out", self.directory)
        self.run_provenance()

    @property
    def manifest_file(self) -> Path:
        """The manifest."""
        return self.directory / "runner.closure.json.zst"

    @property
    def provenance(self) -> Path:
        """The provenance."""
        return self.directory / "provenance.intoto.json"

    @property
    def assets(self) -> list[Path]:
        """The files but the manifest."""
        return [self.directory / "disk.img", self.directory / "runner.cdx.json", self.provenance]

    def run(self, *arguments: Any) -> dict[str, Any]:
        """Run `ec-release` and return its result."""
        code, out, err = self.command(*arguments, "--json")
        assert code == 0, err
        result: dict[str, Any] = json.loads(out)
        return result

    def provenance_arguments(self, assets: list[Path] | None = None) -> list[Any]:
        """Return the arguments that make the provenance of *assets*, by default of all there are."""
        named = [path for path in (assets or self.assets) if path != self.provenance]
        return [
            *("provenance", "--tag", self.tag, "--source", self.directory, "--keys", self.place.keys),
            *("--out", self.provenance, "--closure", self.manifest_file, "--assets", *named),
            *("--repository-url", "https://git.example.org/o/r", "--ref", "refs/tags/v1", "--invocation-id", "run:1"),
        ]

    def run_provenance(self, assets: list[Path] | None = None) -> dict[str, Any]:
        """Make the provenance."""
        return self.run(*self.provenance_arguments(assets))

    def publish_arguments(self, *more: Any) -> list[Any]:
        """Return the arguments that publish the release."""
        return [
            *("publish", "--tag", self.tag, "--version", self.version, "--closure", self.manifest_file),
            *("--directory", self.place.tree, "--keys", self.place.keys, "--time", self.place.time.isoformat()),
            *("--assets", *self.assets, *more),
        ]

    @property
    def published(self) -> Path:
        """Where its files are once it is published."""
        directory: Path = self.place.tree / "download" / self.tag
        return directory

    def cosign(self, *arguments: Any) -> subprocess.CompletedProcess[str]:
        """Run cosign as whoever has downloaded the files, without its transparency log."""
        return subprocess.run(
            [
                "cosign",
                *map(str, arguments),
                *("--key", str(self.place.path / "public/targets-1.pem"), "--insecure-ignore-tlog"),
            ],
            cwd=self.published,
            env={"HOME": str(self.place.path), "PATH": str(self.place.path)},
            executable=COSIGN,
            capture_output=True,
            text=True,
            check=False,
        )
