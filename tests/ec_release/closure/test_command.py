"""`ec-release closure` on the command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ec_closure import manifest as manifests
from ec_release.main import run
from ec_verify.demo.ci import ATTR

if TYPE_CHECKING:
    from pathlib import Path

    from ec_verify.demo.ci import Ci

pytestmark = [pytest.mark.nix, pytest.mark.root]


@pytest.fixture
def arguments(built: Ci, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give arguments that describe the appliance."""
    monkeypatch.setenv("NIX_CONF_DIR", built.programs.environment["NIX_CONF_DIR"])
    return [
        *("closure", "--flake", str(built.repository), "--attr", ATTR, "--name", "appliance"),
        *("--tag", "boot-v7", "--version", "7", "--store-root", str(built.root)),
        *("--option", "sandbox", "true", "--output", str(tmp_path / "appliance.closure.json.zst")),
    ]


def test_manifest_is_written_and_summed_up(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file decodes, the summary says what is in it, and no temporary file stays."""
    assert 0 == run([*arguments, "--json"])

    told = json.loads(capsys.readouterr().out)
    manifest = manifests.decode((tmp_path / "appliance.closure.json.zst").read_bytes())
    assert (len(manifest.paths), manifest.system.out_path) == (told["paths"], told["system"])
    assert ("boot-v7", 7, True) == (manifest.release.tag, manifest.release.version, manifest.builder.sandbox)
    assert ["appliance.closure.json.zst"] == [entry.name for entry in tmp_path.iterdir()]


def test_artifacts_are_the_files_of_a_directory(arguments: list[str], tmp_path: Path) -> None:
    """Also none: a system without an image is described by the same command."""
    images = tmp_path / "images"
    images.mkdir()
    assert 0 == run([*arguments, "--artifacts", str(images)])
    assert () == manifests.decode((tmp_path / "appliance.closure.json.zst").read_bytes()).artifacts
    (images / "runner.iso").write_bytes(b"image")

    assert 0 == run([*arguments, "--artifacts", str(images)])

    (artifact,) = manifests.decode((tmp_path / "appliance.closure.json.zst").read_bytes()).artifacts
    assert ("runner.iso", 5) == (artifact.name, artifact.size)


def test_a_directory_is_made_for_the_manifest(arguments: list[str], tmp_path: Path) -> None:
    """It is called as the system; a file and a directory are one too many, and neither too few."""
    at = arguments.index("--output")
    rest = arguments[:at] + arguments[at + 2 :]
    assert 0 == run([*rest, "--output-directory", str(tmp_path / "a" / "b")])
    assert (tmp_path / "a" / "b" / "appliance.closure.json.zst").exists()

    assert 2 == run(rest)
    assert 2 == run([*arguments, "--output-directory", str(tmp_path)])


def test_dirty_tree_is_a_usage_error(twin: Ci, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, the file's name, and what to do."""
    (twin.repository / "forgotten.nix").write_text("{ }")
    arguments[arguments.index("--flake") + 1] = str(twin.repository)

    assert 2 == run(arguments)
    complaint = capsys.readouterr().err
    assert "forgotten.nix" in complaint
    assert "hint: commit or remove them" in complaint


def test_revision_without_a_time_is_a_usage_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Both describe an export, or neither."""
    assert 2 == run([*arguments, "--rev", "abc"])
    assert "--rev and --issued go together" in capsys.readouterr().err


def test_output_that_cannot_be_written_is_told(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its place."""
    arguments[arguments.index("--output") + 1] = str(tmp_path / "no" / "such" / "x.closure.json.zst")

    assert 2 == run(arguments)
    assert "cannot be written" in capsys.readouterr().err


def test_artifact_that_is_not_there_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With its place."""
    assert 2 == run([*arguments, "--artifact", "/nowhere/runner.iso"])
    assert "/nowhere/runner.iso: cannot be read" in capsys.readouterr().err
