"""What CI of the repository asks, asked here: the steps of ci.yml that need neither a forge nor a build."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from tests.workflows.documents import ROOT, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.workflows.runner import Runner

TWINS = [ROOT / forge / "workflows" / "ci.yml" for forge in (".github", ".forgejo")]


def authority(machine: Callable[..., Runner], file: Path, workspace: Path) -> Runner:
    """Run the job that asks the gate, in a checkout."""
    nothing = dict.fromkeys(
        ("actions/checkout", "https://data.forgejo.org/actions/checkout", "cachix/install-nix-action"), lambda *_: {}
    )
    runner = machine(workspace=workspace, actions=nothing)
    runner.job(file, "authority")
    return runner


@pytest.mark.parametrize("file", TWINS, ids=lambda file: file.parts[-3])
def test_the_repository_is_as_it_declares(machine: Callable[..., Runner], file: Path) -> None:
    """The job passes on this very tree."""
    runner = authority(machine, file, ROOT)

    assert runner.succeeded, runner.ran[-1].output


def test_a_contradiction_stops_ci(machine: Callable[..., Runner], tmp_path: Path) -> None:
    """A workflow that pushes what the declaration withholds fails the same job, and is named."""
    tree = tmp_path / "tree"
    kept = shutil.ignore_patterns(".venv", ".tools", ".git", "__pycache__", ".hypothesis", "result*")
    shutil.copytree(ROOT, tree, ignore=kept, symlinks=True)
    text = TWINS[0].read_text()
    pushing = "nix run .#runner-dashboard-image.passthru.copyTo -- docker://ghcr.io/every-channel/runner-dashboard:edge"
    assert "nix flake archive" in text
    (tree / ".github" / "workflows" / "extra.yml").write_text(text.replace("nix flake archive", pushing))
    runner = authority(machine, TWINS[0], tree)

    assert not runner.succeeded
    assert ".github/workflows/extra.yml" in runner.ran[-1].output


def test_both_forges_ask_for_the_same() -> None:
    """What GitHub alone asks is known here; Forgejo asks nothing besides."""
    github, forgejo = (set(read(file).jobs) for file in TWINS)

    assert github - forgejo == {"tofu"}
    assert forgejo <= github
