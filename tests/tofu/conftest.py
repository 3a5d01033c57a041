"""What tests of the stack share: Terraform (or OpenTofu) with the provider's schema, on a copy of `tofu/`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[2]
DIGEST = "0123456789abcdef" * 4
GIVEN: Mapping[str, Any] = {
    "image": f"ghcr.io/example/runner-dashboard@sha256:{DIGEST}",
    "public_url": "https://dashboard.example.org",
    "secret_files": {"identity.bootstrap_token_file": {"name": "dashboard-bootstrap"}},
}


class Tofu:
    """A copy of `tofu/` in a directory of its own, and the program that reads it.

    *env* is the whole environment: no configuration of the user's, no cache, no question about newer versions.
    """

    def __init__(self, program: str, root: Path, provider: Mapping[str, str]) -> None:
        self.program = program
        self.root = root
        self.module = root / "modules" / "runner-dashboard"
        self.stack = root / "stacks" / "runner-dashboard"
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(root),
            "TF_CLI_CONFIG_FILE": os.devnull,
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            **provider,
        }
        shutil.copytree(ROOT / "tofu", root, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".terraform*"))

    def attempt(self, directory: Path, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run the program in *directory* and return how it went."""
        return subprocess.run(
            [self.program, *argv], cwd=directory, env=self.env, input=stdin, capture_output=True, text=True, check=False
        )

    def run(self, directory: Path, *argv: str, stdin: str = "") -> str:
        """Run the program, which must succeed, and return its standard output."""
        done = self.attempt(directory, *argv, stdin=stdin)
        if done.returncode:
            pytest.fail(f"{self.program} {argv} returned {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def initialised(self, directory: Path) -> Path:
        """Initialise *directory* without its backend, and return it."""
        self.run(directory, "init", "-backend=false", "-input=false", "-no-color")
        return directory

    def planned(self, **variables: Any) -> dict[str, Any]:
        """Return the plan of the module as JSON, with *variables* laid over what must be given."""
        given = self.module / "given.auto.tfvars.json"
        given.write_text(json.dumps({**GIVEN, **variables}))
        try:
            self.run(self.module, "plan", "-input=false", "-no-color", "-out=plan")
            plan: dict[str, Any] = json.loads(self.run(self.module, "show", "-json", "plan"))
            return plan
        finally:
            given.unlink()


@pytest.fixture(scope="session")
def program() -> str:
    """Return the program that reads `tofu/`."""
    found = shutil.which("tofu") or shutil.which("terraform")
    if found is None:
        pytest.skip("there is neither tofu nor terraform on the PATH")
    return found


@pytest.fixture(scope="session")
def provider() -> Iterator[dict[str, str]]:
    """Serve the provider's schema, and give the variables with which it is found."""
    pytest.importorskip("grpc", reason="grpcio speaks the protocol of providers")
    from tests.tofu.provider import serving

    with serving() as variables:
        yield variables


@pytest.fixture(scope="session")
def tofu(program: str, provider: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Tofu:
    """Return an initialised copy, which tests do not change."""
    made = Tofu(program, tmp_path_factory.mktemp("tofu"), provider)
    made.initialised(made.module)
    made.initialised(made.stack)
    return made


@pytest.fixture
def scratch(program: str, provider: Mapping[str, str], tmp_path: Path) -> Tofu:
    """Return a copy that a test may break."""
    return Tofu(program, tmp_path, provider)
