"""`ec-verify demo`: it tells what happened, and it fails when anything was not as it must be."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ec_verify.demo import story
from ec_verify.demo.attacks import BY_NAME
from ec_verify.demo.screen import Screen
from ec_verify.demo.store import remove
from ec_verify.main import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.nix
@pytest.mark.root
def test_story_is_told_and_ends_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, verdict, peers and recap are shown; what needs root is left out by name where there is none."""
    told = ("flipped-byte", "capability", "poisoned-evaluation")

    assert story.tell(tmp_path, Screen(tmp_path), told, root=False)

    shown = capsys.readouterr().out
    assert "$ ec-release publish --directory LAB/site/releases" in shown
    assert "PASSED (exit code 0) at level full" in shown
    assert "nix build --rebuild  missed (1) speaks of something else" in shown
    assert "ec-verify (bytes)    caught (1) EV201" in shown
    assert "right   2 of 2" in shown
    assert "left out, since it needs root: File capability" in shown
    assert "\x1b" not in shown


@pytest.mark.nix
@pytest.mark.root
def test_story_that_goes_wrong_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attack that is answered otherwise than promised makes the demonstration fail."""
    attack = replace(BY_NAME["flipped-byte"], name="never-found", expects=frozenset({"EV303"}))
    monkeypatch.setitem(BY_NAME, "never-found", attack)

    assert not story.tell(tmp_path, Screen(tmp_path), ("never-found",), root=True)

    shown = capsys.readouterr().out
    assert "WRONG: no finding EV303" in shown
    assert "right   0 of 1" in shown


def test_story_has_at_least_twelve_attacks() -> None:
    """Each of them is in the registry, once."""
    assert 12 <= len(story.TOLD) == len(set(story.TOLD))
    assert set(story.TOLD) <= BY_NAME.keys()


@pytest.mark.nix
def test_directory_that_is_not_empty_is_not_written_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--keep` never mixes with what is there."""
    (tmp_path / "mine").touch()

    assert 2 == run(["demo", "--keep", str(tmp_path)])
    assert "is not an empty directory" in capsys.readouterr().err
    assert ["mine"] == [entry.name for entry in tmp_path.iterdir()]


@pytest.mark.nix
def test_user_without_namespaces_is_told_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither root nor user namespaces: the kernel's word, and the switches that allow them."""
    (tmp_path / "unshare").write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert 3 == run(["demo"])
    complaint = capsys.readouterr().err
    assert "neither root nor allowed to make user namespaces: unshare failed: Operation not permitted" in complaint
    assert "kernel.unprivileged_userns_clone=1" in complaint


def test_stores_are_removed_though_they_are_read_only(tmp_path: Path) -> None:
    """Nothing of a demonstration stays behind."""
    path = tmp_path / "lab" / "nix" / "store" / "path"
    path.mkdir(parents=True)
    (path / "file").touch()
    path.chmod(0o555)
    remove(tmp_path / "lab")

    assert [] == list(tmp_path.iterdir())
