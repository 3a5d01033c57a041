"""A repository with a small flake, and a Nix that builds it."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest
from tests.ec_release.boot_images.flake import NIX_CONF, Flake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def repository(tmp_path: Path) -> Flake:
    """Give a repository with a commit."""
    if shutil.which("git") is None:
        pytest.skip("there is no git on the PATH")
    made = Flake(tmp_path / "flake")
    made.begin()
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
