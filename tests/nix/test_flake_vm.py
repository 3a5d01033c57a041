"""Scripts of the tests with virtual machines: what can be known of them without a machine."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
VM = ROOT / "nixos" / "checks" / "vm"
SHARED = {"default", "lib", "systems", "instrumented", "cache-key"}
# What the driver gives to every script
DRIVER = ["subtest", "start_all", "retry", "machines", "driver", "create_machine"]


@pytest.fixture(scope="module")
def scripts(value_of: Callable[[str], Any]) -> dict[str, dict[str, Any]]:
    """Give each test's script, and the names of its machines."""
    found: dict[str, dict[str, Any]] = value_of(
        "flake: let inherit (flake.inputs.nixpkgs) lib; in lib.mapAttrs (_: test: "
        "{ script = test.config.testScriptString; machines = lib.attrNames test.config.nodes; }) "
        '(lib.filterAttrs (name: _: lib.hasPrefix "vm-" name) flake.checks.x86_64-linux)'
    )
    return found


def test_every_file_is_a_test(scripts: dict[str, dict[str, Any]]) -> None:
    """One that is not listed would never be run, and nobody would notice."""
    assert scripts.keys() == {f"vm-{file.stem}" for file in VM.glob("*.nix") if file.stem not in SHARED}


def test_scripts_know_every_name_that_they_use(scripts: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """A slip would be found by a machine, after minutes."""
    for name, test in scripts.items():
        (tmp_path / f"{name}.py").write_text(test["script"])
        ast.parse(test["script"], name)
        known = json.dumps([*test["machines"], *DRIVER])
        done = subprocess.run(
            [
                *(sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select=F,E9"),
                *(f"--config=builtins={known}", tmp_path / f"{name}.py"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert 0 == done.returncode, done.stdout + done.stderr


def test_scripts_demand_something(scripts: dict[str, dict[str, Any]]) -> None:
    """A script that starts machines and demands nothing passes whatever they do."""
    demanding = {"passes", "fails", "succeed", "fail"}
    for name, test in scripts.items():
        tree = ast.parse(test["script"])
        own = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
        calls = {
            call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            for node in own
            for call in ast.walk(node)
            if isinstance(call, ast.Call)
        }
        asserts = [one for node in own for one in ast.walk(node) if isinstance(one, ast.Assert)]
        assert calls & demanding, name
        assert asserts or calls & {"passes", "fails", "fail"}, name
        assert "sleep" not in calls, name
