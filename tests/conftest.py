"""What tests of every package share: throw-away Nix stores, and what is skipped where.

Test files are no packages and cannot import from one another: what they share is a fixture here or in the
``conftest.py`` beside them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from ec_verify.demo.lab import Lab

# Examples differ in cost by orders of magnitude, and machines under load by more: a deadline would fail at random.
settings.register_profile("project", deadline=None, max_examples=100)
settings.load_profile("project")

_LONG = 100
NIX_CONFIG = """
experimental-features = nix-command flakes ca-derivations impure-derivations
build-users-group =
sandbox = false
substituters =
"""


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a large value by its beginning and size: names of tests go from process to process, and into every log."""
    if isinstance(val, str | bytes) and len(val) > _LONG:
        return f"{ascii(val[:_LONG]).removeprefix('b')[1:-1]}...{len(val)}"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what this machine cannot run, and say why."""
    if item.get_closest_marker("nix") and shutil.which("nix") is None:
        pytest.skip("there is no nix on the PATH")
    if item.get_closest_marker("root") and os.geteuid() != 0:
        pytest.skip("not running as root")


class NixStore:
    """A throw-away Nix store in a directory of its own, without daemon, sandbox or substituters.

    *store_dir* is both its logical and its physical directory; *state_dir* holds ``db``; *env* is the whole
    environment of a program that works on it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store_dir = str(root / "store")
        self.state_dir = root / "var"
        self.conf_dir = root / "etc"
        self.env: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "HOME": str(root / "home"),
            "NIX_STORE_DIR": self.store_dir,
            "NIX_STATE_DIR": str(self.state_dir),
            "NIX_LOG_DIR": str(root / "log"),
            "NIX_CONF_DIR": str(self.conf_dir),
            "NIX_CONFIG": NIX_CONFIG,
        }
        (root / "home").mkdir(parents=True)

    def attempt(self, *argv: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a program on this store and return how it went."""
        return subprocess.run(argv, input=stdin, env=self.env, cwd=self.root, capture_output=True, check=False)

    def run_bytes(self, *argv: str | Path, stdin: bytes = b"") -> bytes:
        """Run a program on this store, which must succeed, and return its standard output."""
        done = self.attempt(*argv, stdin=stdin)
        if done.returncode:
            pytest.fail(f"{argv} returned {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout

    def run(self, *argv: str | Path, stdin: bytes = b"") -> str:
        """Run a program on this store, which must succeed, and return its standard output as text without its end."""
        return self.run_bytes(*argv, stdin=stdin).decode().rstrip("\n")

    def build(self, expression: str) -> list[str]:
        """Build a Nix *expression* and return the output paths."""
        return self.run("nix-build", "--no-out-link", "-E", expression).split()

    def instantiate(self, expression: str) -> list[str]:
        """Instantiate a Nix *expression* and return the paths of the derivations."""
        return self.run("nix-instantiate", "-E", expression).split()


@pytest.fixture(scope="session")
def new_nix_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], NixStore]:
    """Give a function that makes a new, empty store each time."""

    def make() -> NixStore:
        # A short name: it is part of every path, and builders see it.
        return NixStore(tmp_path_factory.mktemp("nix"))

    return make


@pytest.fixture(scope="module")
def nix_store(new_nix_store: Callable[[], NixStore]) -> NixStore:
    """Give a store that the tests of one module share; none may rely on it being empty."""
    return new_nix_store()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a whole world: an appliance built, signed and published by a build machine, and a node that runs it."""
    from ec_verify.demo.lab import Lab

    if os.geteuid() != 0:
        pytest.skip("not running as root")
    with Lab(tmp_path_factory.mktemp("lab")) as built:
        yield built.build()
