"""`ec-release gate`: what it prints, with which exit code, of a repository on a disk; and of this very one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ec_release import main
from ec_release.authority import facts, sources
from ec_release.authority.judge import judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ec_release.authority.world import Repository

ROOT = Path(__file__).parents[3]


@pytest.fixture
def on_disk(repository: Repository, tmp_path: Path) -> Path:
    """Give a repository that is in order, as files."""
    for name, text in repository.texts.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def gate(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Give a function that runs the command and returns exit code, result and complaints."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        code = main.run(["gate", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_what_is_in_order_passes(on_disk: Path, gate: Callable[..., tuple[int, str, str]]) -> None:
    """With the table of publications and gates, and nothing on standard error."""
    code, out, err = gate("--root", on_disk)

    assert (code, err) == (0, "")
    assert out.endswith("PASSED: the repository is as declared\n")
    rows = [line.split() for line in out.splitlines()]
    assert ["dockerfile-image", "(current)", "source-of-truth", "met"] in rows
    assert ["nix-image-authority", "source-of-truth", "not", "met"] in rows
    assert "docker/build-push-action, .github/workflows/build-image.yml:13" in out


def test_what_is_not_fails(on_disk: Path, gate: Callable[..., tuple[int, str, str]]) -> None:
    """With code, file, line, and what to do; in JSON with the same."""
    workflow = on_disk / ".github" / "workflows" / "build-image.yml"
    workflow.write_text(workflow.read_text().replace("app/Dockerfile", "tools/Dockerfile"))

    code, out, _ = gate("--root", on_disk)
    assert code == 1
    assert (
        "fail RA206 .github/workflows/build-image.yml:13: the authoritative name is filled from another source" in out
    )
    assert "Build it from the declared source" in out
    assert out.endswith("FAILED: the repository is not as declared\n")

    code, out, _ = gate("--root", on_disk, "--json")
    told = json.loads(out)
    assert (code, told["passed"]) == (1, False)
    assert [one["line"] for one in told["findings"] if one["code"] == "RA206"] == [13]


def test_evidence_is_shown_when_asked_for(on_disk: Path, gate: Callable[..., tuple[int, str, str]]) -> None:
    """Of gates that are met as well, with the lines."""
    line = (
        "yes scan, signature, verification of what is pushed here, by its digest (.github/workflows/build-image.yml:13)"
    )

    assert line not in gate("--root", on_disk)[1]
    assert line in gate("--root", on_disk, "--evidence")[1]


def test_without_a_declaration_nothing_is_judged(tmp_path: Path, gate: Callable[..., tuple[int, str, str]]) -> None:
    """Exit code 2, and what to do; a directory that is not there is 3."""
    code, out, err = gate("--root", tmp_path)
    assert (code, out) == (2, "")
    assert "docs/release-authority.toml: is not there" in err
    assert "hint: " in err

    assert gate("--root", tmp_path / "none")[0] == 3


def test_a_link_is_not_followed(on_disk: Path, gate: Callable[..., tuple[int, str, str]]) -> None:
    """A workflow that is one is told: what a runner reads there is not known."""
    (on_disk / ".github" / "workflows" / "x.yml").symlink_to("/etc/hostname")

    code, out, _ = gate("--root", on_disk)
    assert code == 1
    assert "fail RA907 .github/workflows/x.yml:1: a file was not read: a symbolic link" in out


def test_what_builds_make_is_passed_over(on_disk: Path) -> None:
    """Environments and results are not the repository's; forges' directories are."""
    for name in (".venv/x.yml", "node_modules/x.md", "a/__pycache__/x.md", ".github/workflows/deep/x.yml"):
        (on_disk / name).parent.mkdir(parents=True, exist_ok=True)
        (on_disk / name).write_text("x: [")

    found = sources.read(on_disk)
    assert [name for name in found.texts if "x." in name] == [".github/workflows/deep/x.yml"]
    assert judge(facts.gather(found)).passed


def test_a_large_file_is_told(on_disk: Path) -> None:
    """It is not read, and where it could hold a workflow or a document that fails."""
    (on_disk / "docs" / "large.md").write_bytes(b"x" * (sources.MAX_FILE + 1))
    (on_disk / "large.bin").write_bytes(b"x" * (sources.MAX_FILE + 1))

    told = [(one.code, one.file) for one in judge(facts.gather(sources.read(on_disk))).findings]
    assert told == [("RA907", "docs/large.md")]


def this_repository() -> sources.Files:
    """Return the files of this repository that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    known = set(listed.split("\0"))
    read = sources.read(ROOT)
    return sources.Files(
        {name: data for name, data in read.texts.items() if name in known},
        {name: why for name, why in read.skipped.items() if name in known},
    )


def test_this_repository_is_as_it_is_declared() -> None:
    """Its workflows, its stack, its flake and its documents: every finding of the gate, and none that fails."""
    found = judge(facts.gather(this_repository()))

    assert [(one.code, f"{one.file}:{one.line}", one.message) for one in found.findings if one.severity == "fail"] == []
    assert found.passed
    assert [one.met for one in found.authorities] == [True, False, False, False]


def test_this_repository_publishes_what_it_declares() -> None:
    """The dashboard's image from two workflows, boot images from one: what passes was looked at."""
    found = judge(facts.gather(this_repository()))

    assert {(one.kind, one.workflow.rpartition("/")[2]) for one in found.publications} == {
        ("image", "build-image.yml"),
        ("image", "release.yml"),
        ("release", "release.yml"),
        ("release", "boot-images.yml"),
        ("metadata", "refresh-timestamp.yml"),
    }
    tags = {one.target.rpartition(":")[2] for one in found.publications if one.tool == "ec-release image-promote"}
    assert tags == {"git-*", "edge", "v*", "latest"}
