"""Packages of the dashboard that import what they do not declare would break where nothing else is installed."""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "app" / "src" / "runner_dashboard"


def test_what_is_imported_is_declared() -> None:
    """And what is declared is imported: an image holds no more than what runs."""
    imported: set[str] = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    declared = tomllib.loads((ROOT / "app" / "pyproject.toml").read_text())["project"]["dependencies"]
    ours = {name.replace("-", "_") for name in declared}

    assert imported - sys.stdlib_module_names - {"runner_dashboard"} == ours
