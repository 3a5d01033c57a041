"""A build machine that has built the appliance, and git repositories to release from."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo.ci import Ci

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Repository:
    """A git repository."""

    top: Path

    def git(self, *arguments: str) -> str:
        """Run git, which must succeed."""
        author = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid")
        allowed = ("-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", "-C", str(self.top), *author, *allowed, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self) -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "something")


@pytest.fixture
def new_repository(tmp_path: Path) -> Callable[[str], Repository]:
    """Give a function that makes an empty repository."""

    def make(name: str = "repository") -> Repository:
        top = tmp_path / name
        top.mkdir()
        repository = Repository(top)
        repository.git("init", "--quiet", "--initial-branch=main")
        return repository

    return make


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Ci:
    """Give a build machine that has built the appliance; tests that change it take a twin."""
    if os.geteuid() != 0:
        pytest.skip("not running as root")
    shell = shutil.which("bash-static")
    if shell is None:
        pytest.skip("there is no bash-static on the PATH")
    ci = Ci(tmp_path_factory.mktemp("ci") / "ci", shell)
    ci.prepare(f"{platform.machine()}-linux")
    ci.build()
    return ci


@pytest.fixture
def twin(built: Ci, tmp_path: Path) -> Ci:
    """Give a copy of the build machine that a test may change."""
    return built.twin(tmp_path / "twin")
