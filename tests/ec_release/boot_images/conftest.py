"""A small flake with images that Nix really builds, in a git repository."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PLATFORM = f"{platform.machine()}-linux"
FLAKE = """{
  outputs = _: let
    run = name: text: derivation {
      inherit name;
      system = "@PLATFORM@";
      builder = "/bin/sh";
      args = [ "-ec" text ];
      PATH = "/bin";
    };
    tools = run "tools" "@TOOLS@";
    layer = run "squashfs.img" "@LAYER@";
    system = run "nixos-system" "mkdir $out; echo ${tools} ${layer} > $out/needs; @SYSTEM@";
    image = files: { inherit files; };
  in {
    nixosConfigurations = {
      runner.config.system.build.toplevel = system;
      runner-netboot.config.system.build = {
        toplevel = system;
        netboot = run "tree" ''@NETBOOT@'';
      };
      runner-iso.config.system.build = {
        toplevel = system;
        isoImage = run "iso" "mkdir -p $out/iso; cat ${layer} > $out/iso/runner.iso";
      };
    };
  };
}
"""
PARTS = {
    "TOOLS": "echo a tool > $out",
    "LAYER": "cat ${tools} > $out; echo a layer >> $out",
    "SYSTEM": "true",
    "NETBOOT": (
        "mkdir $out; ln -s ${layer} $out/initrd; echo a kernel > $out/kernel; "
        "echo '#!ipxe' > $out/netboot.ipxe; echo kernel kernel init=${system}/init >> $out/netboot.ipxe"
    ),
}
TARGETS = f"""
schema = "ec-release.boot-images.v1"
rebuild = ["squashfs*"]

[targets.runner]
kind = "system"
platform = "{PLATFORM}"
runner = "here"

[targets.runner-netboot]
kind = "netboot"
platform = "{PLATFORM}"
runner = "here"
files = ["kernel", "initrd", "netboot.ipxe"]

[targets.runner-iso]
kind = "iso"
platform = "{PLATFORM}"
runner = ""
files = ["iso/runner.iso"]
"""
# What builders find: the machine's own programs, at fixed places.
NIX_CONF = """
experimental-features = nix-command flakes
build-users-group =
sandbox = true
substituters =
sandbox-paths = /usr /bin=/usr/bin /lib=/usr/lib /lib64=/usr/lib64
gc-reserved-space = 0
fsync-metadata = false
"""
COMMITTED = 1_795_500_000  # 2026-11-24 06:00:00 UTC


@dataclass
class Flake:
    """A git repository that holds a flake and its file of targets; *parts* are what its builders run."""

    top: Path
    parts: dict[str, str] = field(default_factory=lambda: dict(PARTS))

    def git(self, *arguments: str) -> str:
        """Run git, which must succeed."""
        when = {"GIT_AUTHOR_DATE": f"{COMMITTED} +0000", "GIT_COMMITTER_DATE": f"{COMMITTED} +0000"}
        author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid")
        done = subprocess.run(
            ["git", "-C", str(self.top), *author, *arguments],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | when,
        )
        return done.stdout.strip()

    def commit(self) -> str:
        """Write the flake and commit it; return the revision."""
        text = FLAKE.replace("@PLATFORM@", PLATFORM)
        for name, part in self.parts.items():
            text = text.replace(f"@{name}@", part)
        (self.top / "flake.nix").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "something")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Flake:
    """Give a repository with a commit."""
    if shutil.which("git") is None:
        pytest.skip("there is no git on the PATH")
    made = Flake(tmp_path / "flake")
    (made.top / ".forgejo").mkdir(parents=True)
    (made.top / ".forgejo" / "boot-images.toml").write_text(TARGETS)
    (made.top / "flake.lock").write_text('{"nodes": {"root": {}}, "root": "root", "version": 7}')
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit()
    return made


@pytest.fixture
def change() -> Callable[..., str]:
    """Give a function that changes what a part of a flake does, commits, and returns the revision."""

    def make(flake: Flake, **parts: str) -> str:
        flake.parts |= parts
        return flake.commit()

    return make


@pytest.fixture
def nix_conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let Nix build in sandboxes that hold the machine's programs, and ask no cache."""
    if os.geteuid() != 0:
        pytest.skip("not running as root")
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "nix.conf").write_text(NIX_CONF)
    monkeypatch.setenv("NIX_CONF_DIR", str(directory))
    return directory / "nix.conf"
