"""A small flake with images that Nix really builds, in a git repository."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    kernel = run "kernel" "echo a kernel > $out";
    initrd = run "initrd" "echo stage 1 > $out";
    system = name: run "nixos-system-${name}"
      "mkdir $out; ln -s ${kernel} $out/kernel; ln -s ${initrd} $out/initrd; echo ${tools} ${layer} > $out/needs";
  in {
    nixosConfigurations = {
      @NAME@.config.system.build.toplevel = system "disk";
      @NAME@-netboot.config.system.build = rec {
        toplevel = system "netboot";
        netboot = run "tree" ''@NETBOOT@'';
      };
      @NAME@-iso.config.system.build = {
        toplevel = system "iso";
        isoImage = run "iso" "mkdir -p $out/iso; cat ${layer} > $out/iso/@NAME@.iso";
      };
    };
  };
}
"""
PARTS = {
    "TOOLS": "echo a tool > $out",
    "LAYER": "cat ${tools} > $out; echo a layer >> $out",
    "NETBOOT": (
        "mkdir $out; cat ${initrd} ${layer} > $out/initrd; ln -s ${kernel} $out/kernel; cd $out; "
        "echo '#!ipxe' > netboot.ipxe; echo kernel kernel init=${toplevel}/init initrd=initrd >> netboot.ipxe; "
        "echo initrd initrd >> netboot.ipxe; echo boot >> netboot.ipxe"
    ),
}
TARGETS = f"""
schema = "ec-release.boot-images.v1"
rebuild = ["squashfs*"]

[targets.@NAME@]
kind = "system"
platform = "{PLATFORM}"
runner = "here"

[targets.@NAME@-netboot]
kind = "netboot"
platform = "{PLATFORM}"
runner = "here"
files = ["kernel", "initrd", "netboot.ipxe"]

[targets.@NAME@-iso]
kind = "iso"
platform = "{PLATFORM}"
runner = ""
files = ["iso/@NAME@.iso"]
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
    """A git repository that holds a flake and its file of targets.

    Its systems are called *name*, and that with ``-netboot`` and ``-iso``; *parts* are what builders run.
    """

    top: Path
    name: str = "runner"
    parts: dict[str, str] = field(default_factory=lambda: dict(PARTS))

    def begin(self) -> None:
        """Make the repository and its first commit."""
        (self.top / ".forgejo").mkdir(parents=True)
        (self.top / ".forgejo" / "boot-images.toml").write_text(TARGETS.replace("@NAME@", self.name))
        (self.top / "flake.lock").write_text('{"nodes": {"root": {}}, "root": "root", "version": 7}')
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()

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
        text = FLAKE.replace("@PLATFORM@", PLATFORM).replace("@NAME@", self.name)
        for name, part in self.parts.items():
            text = text.replace(f"@{name}@", part)
        (self.top / "flake.nix").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "something")
        return self.git("rev-parse", "HEAD")
