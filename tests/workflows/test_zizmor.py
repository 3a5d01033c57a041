"""zizmor, the linter of workflows, has nothing to say: offline, and as pedantic as it can be."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.workflows.documents import ROOT, action_files, workflow_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.workflows.documents import Document

FILES = [*workflow_files(), *action_files()]
CONFIG = ROOT / ".github" / "zizmor.yml"


def findings(*files: Path) -> list[str]:
    """Return what zizmor finds."""
    beside = Path(sys.executable).with_name("zizmor")
    program = beside if beside.exists() else shutil.which("zizmor")
    if program is None:
        pytest.skip("there is no zizmor")
    done = subprocess.run(
        [
            program, "--offline", "--pedantic", "--no-progress",
            "--strict-collection", "--no-exit-codes",
            "--format=json-v1", f"--config={CONFIG}", *files,
        ],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [_line(finding) for finding in json.loads(done.stdout) if not finding["ignored"]]


def _line(finding: dict[str, Any]) -> str:
    where = finding["locations"][0]
    (file,) = where["symbolic"]["key"].values()
    row = where["concrete"]["location"]["start_point"]["row"] + 1
    return f"{file['verbatim_path']}:{row}: {finding['ident']}: {finding['desc']}"


@pytest.mark.skipif(not FILES, reason="there is no workflow")
def test_it_has_nothing_to_say() -> None:
    """Of any workflow or action, but for what .github/zizmor.yml excuses with a reason."""
    assert findings(*FILES) == []


def test_it_would_say_something(planted: Callable[..., Document]) -> None:
    """It is run, and its findings are read."""
    text = "on: pull_request_target\njobs: {a: {runs-on: x, steps: [{run: 'echo ${{ github.head_ref }}'}]}}\n"
    said = {line.split(": ")[1] for line in findings(planted(text).path)}

    assert {"dangerous-triggers", "template-injection", "excessive-permissions"} <= said


def test_every_exception_has_its_reason() -> None:
    """A line that is excused says why, above it."""
    lines = CONFIG.read_text().splitlines()
    for number, line in enumerate(lines):
        if line.startswith("  ") and not line.startswith("   ") and line.endswith(":"):
            assert lines[number - 1].startswith("  #"), line
