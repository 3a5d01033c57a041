"""What tests of the flake share: the program that evaluates it, and a check that this machine can."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
EVALUATE = ROOT / "tests" / "nix" / "evaluate"
SKIPPED = "evaluate: skipped: "


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give `tests/nix/evaluate` as a function of its arguments; where it skips, the test does."""

    def run(*arguments: str | Path, script: Path = EVALUATE) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([script, *arguments], capture_output=True, text=True, check=False)
        if done.stderr.startswith(SKIPPED):
            pytest.skip(done.stderr.removeprefix(SKIPPED).strip())
        return done

    return run


@pytest.fixture(scope="session")
def value_of(evaluate: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[[str], Any]:
    """Give the value of a function of the flake."""

    def value(function: str) -> Any:
        done = evaluate("--apply", function)
        assert 0 == done.returncode, done.stderr
        return json.loads(done.stdout)

    return value
