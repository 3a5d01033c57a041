"""What docs/boot-images.md says to do by hand works as it is written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ec_release.boot_images.flake import COMMITTED, Flake

DOCUMENT = Path(__file__).parents[3] / "docs" / "boot-images.md"
NAME = "ec-runner-x86_64"  # as the document calls it, whatever this machine is


def commands(heading: str) -> list[str]:
    """Return what the section under *heading* tells people to type."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    assert section is not None
    return re.findall(r"^ *\$ (.+)$", section[1], re.MULTILINE)


@pytest.mark.nix
@pytest.mark.root
@pytest.mark.usefixtures("nix_conf")
def test_releasing_by_hand_works(tmp_path: Path) -> None:
    """Build, describe, publish, clean up; the secrets of CI before. Only the server is a directory here."""
    flake = Flake(tmp_path / "flake", NAME)
    flake.begin()
    typed = [*commands("What is built"), *commands("First use"), *commands("Stopping")]
    assert 8 <= len(typed)
    site = f"--directory {tmp_path / 'site'}"
    lines = [
        line.replace("--server https://git.example.org --repository every-channel/runner", site)
        .replace("1795536438", str(COMMITTED))
        .replace("ci-keys/", "../ci-keys/")
        .replace("--keys ci-keys", "--keys ../ci-keys")
        .replace(" release.secret", " ../release.secret")
        .replace(" refresh.secret", " ../refresh.secret")
        for line in typed
        # The package of the flake's own is not in this one.
        if not line.startswith("nix build")
    ]
    script = "\n".join(["set -eux", f"ec-release trust init {site} --keys ../ci-keys", *lines])

    done = subprocess.run(
        ["bash", "-c", script],
        cwd=flake.top,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    published = {file.name for file in (tmp_path / "site" / "download" / "boot-v8").iterdir()}
    rev = flake.git("rev-parse", "HEAD")[:12]
    assert {f"{NAME}-netboot.closure.json.zst", f"{NAME}-netboot-boot-v8-{rev}.tar.zst", "SHA256SUMS"} <= published
    assert not (tmp_path / "stores").exists()
    assert "" == flake.git("status", "--porcelain")
