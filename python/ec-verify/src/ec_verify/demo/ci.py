"""The build machine of the demonstration: it takes some paths from a cache, builds the rest, describes and publishes.

Everything is done by the programs that a real CI runs: git, nix and ec-release.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from ec_closure import manifest as manifests
from ec_closure.signing import SecretKey
from ec_verify.demo.programs import Programs, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ec_closure.manifest import Manifest
    from ec_verify.demo.programs import Ran

ATTR = "nixosConfigurations.appliance.config.system.build.toplevel"
SYSTEM = "appliance"
_COMMITTED = "2026-11-01T00:00:00Z"
_AUTHOR = ("-c", "user.name=release", "-c", "user.email=release@appliance.invalid")


@dataclass(frozen=True)
class Release:
    """One published release: its manifest, the file that holds it, and the root of the store that it was built in."""

    manifest: Manifest
    file: Path
    built_in: Path

    @property
    def toplevel(self) -> str:
        """The system's store path."""
        return self.manifest.system.out_path

    def path(self, name: str) -> str:
        """Return the store path called *name*."""
        found = [record.path for record in self.manifest.paths if record.path.partition("-")[2] == name]
        if len(found) != 1:
            raise LookupError(f"{len(found)} paths are called {name}")
        return found[0]

    def deriver(self, path: str) -> str:
        """Return the derivation that made *path*."""
        record = self.manifest.paths[self.manifest.index()[path]]
        if record.deriver is None:
            raise LookupError(f"nothing made {path}")
        return record.deriver


class Ci:
    """The build machine, all of it below *base*. A site is a directory to publish in: releases/ and cache/."""

    def __init__(self, base: Path, shell: str, watch: Callable[[Ran], None] | None = None) -> None:
        self.base = base
        self.root = base / "root"
        self.repository = base / "appliance"
        self.keys = base / "keys"
        self.shell = shell
        self.sandbox_paths = (f"/bin/sh={shell}",)
        self.cache_key = SecretKey.generate("cache.appliance.invalid-1")
        self.upstream_key = SecretKey.generate("upstream.invalid-1")
        upstream_cache = base / "upstream" / "cache"
        conf = self.nix_conf(f"file://{upstream_cache}", self.upstream_key.public.render())
        self.watch = watch
        self.programs = Programs(environment(base / "home", conf), watch)
        self._upstream_cache = upstream_cache
        self._conf = conf

    def nix_conf(self, substituter: str = "", trusted: str = "") -> str:
        """Return a nix.conf that sandboxes, and substitutes from *substituter* alone."""
        lines = {
            "experimental-features": "nix-command flakes",
            "build-users-group": "",
            "sandbox": "true",
            "sandbox-fallback": "false",
            "sandbox-paths": " ".join(self.sandbox_paths),
            "substituters": substituter,
            "trusted-public-keys": trusted,
            "require-sigs": "true",
            "flake-registry": "",
            # Every site has an address of its own for a while, and ports are used again: Nix would take what it heard
            # at the address before, and ask for archives that this site does not have.
            "narinfo-cache-positive-ttl": "0",
            "narinfo-cache-negative-ttl": "0",
            "fsync-metadata": "false",
            # Eight megabytes of nothing in every store would be most of what is copied.
            "gc-reserved-space": "0",
        }
        return "".join(f"{key} = {value}\n" for key, value in lines.items())

    def prepare(self, platform: str) -> None:
        """Make the repository and its first commit, add the locked input, and let upstream fill its cache."""
        with as_file(files("ec_verify.demo")) as package:
            _copy(package / "appliance", self.repository)
            _copy(package / "channels", self.base / "channels" / "source")
        (self.repository / "platform").write_text(f"{platform}\n")
        self.programs.run(["git", "init", "--quiet", "--initial-branch=main", self.repository])
        self.commit("The appliance")
        self.keys.mkdir(parents=True)
        for name, key in (("cache", self.cache_key), ("upstream", self.upstream_key)):
            file = self.keys / f"{name}.secret"
            file.touch(0o600)
            file.write_text(key.render())
        upstream = self.base / "upstream" / "root"
        for root in (self.root, upstream):
            self.programs.run(["nix-store", "--store", root, "--add", self.base / "channels" / "source"])
        wanted = [f"{self.flake}#packages.{platform}.{name}" for name in ("runtime", "unit-generator")]
        alone = {"NIX_CONF_DIR": str(self._conf_dir("upstream", self.nix_conf()))}
        self.programs.run(["nix", "build", "--store", upstream, "--no-link", *wanted], extra=alone)
        target = f"file://{self._upstream_cache}?compression=none&secret-key={self.keys / 'upstream.secret'}"
        self.programs.run(["nix", "copy", "--from", upstream, "--to", target, *wanted], extra=alone)

    def twin(self, base: Path) -> Ci:
        """Return a copy of this machine below *base*, with the same keys: what it does leaves this one as it is."""
        self.programs.run(["cp", "--archive", "--reflink=auto", self.base, base])
        twin = Ci(base, self.shell, self.watch)
        twin.cache_key, twin.upstream_key = self.cache_key, self.upstream_key
        return twin

    @property
    def flake(self) -> str:
        """The repository as Nix names it."""
        return f"git+file://{self.repository}"

    def commit(self, message: str) -> None:
        """Commit everything in the repository, at a time that never changes."""
        when = {"GIT_AUTHOR_DATE": _COMMITTED, "GIT_COMMITTER_DATE": _COMMITTED}
        self.programs.run(["git", "-C", self.repository, "add", "--all"])
        self.programs.run(["git", "-C", self.repository, *_AUTHOR, "commit", "--quiet", "-m", message], extra=when)

    def build(self) -> None:
        """Build the system; what upstream signed is taken from its cache."""
        self.programs.run(["nix", "build", "--store", self.root, "--no-link", f"{self.flake}#{ATTR}"])

    def describe(self, version: int) -> Release:
        """Write the closure manifest of the system as release *version*."""
        file = self.base / f"release-{version}" / f"{SYSTEM}.closure.json.zst"
        file.parent.mkdir(exist_ok=True)
        self.programs.run(
            [
                *("ec-release", "closure", "--flake", self.repository, "--attr", ATTR, "--name", SYSTEM),
                *("--tag", f"boot-v{version}", "--version", str(version), "--store-root", self.root),
                *("--trusted-public-key", self.upstream_key.public.render(), "--output", file),
            ]
        )
        return Release(manifests.decode(file.read_bytes(), what=file.name), file, self.root)

    def trust(self, site: Path) -> Path:
        """Make release keys and the first metadata. Returns the root that nodes pin."""
        keys = self.keys / "release"
        self.programs.run(["ec-release", "trust", "init", "--directory", site / "releases", "--keys", keys])
        return keys / "root.json"

    def publish(self, release: Release, site: Path) -> None:
        """Publish *release*, and fill the cache with all that it was built from."""
        version = release.manifest.release.version
        self.programs.run(
            [
                *("ec-release", "publish", "--directory", site / "releases", "--keys", self.keys / "release"),
                *("--tag", f"boot-v{version}", "--version", str(version), "--closure", release.file),
            ]
        )
        self.fill_cache(release, site)

    def fill_cache(self, release: Release, site: Path) -> None:
        """Sign and store every output and source of *release*, build inputs included, in the binary cache."""
        drv = release.manifest.system.drv_path
        everything = self.programs.run(
            ["nix-store", "--store", self.root, "--query", "--requisites", "--include-outputs", drv]
        ).stdout.split()
        outputs = [path for path in everything if not path.endswith(".drv")]
        target = f"file://{site / 'cache'}?compression=none&secret-key={self.keys / 'cache.secret'}"
        self.programs.run(["nix", "copy", "--from", self.root, "--to", target, *outputs])

    def _conf_dir(self, name: str, text: str) -> Path:
        directory = self.base / name
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "nix.conf").write_text(text)
        return directory


def _copy(source: Path, target: Path) -> None:
    """Copy a tree with the modes that git would give it, whatever the installer did to it."""
    shutil.copytree(source, target, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("__pycache__"))
    for file in (target, *target.rglob("*")):
        file.chmod(0o755 if file.is_dir() else 0o644)
