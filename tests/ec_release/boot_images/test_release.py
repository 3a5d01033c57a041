"""Tag, version and names: all of it follows from the commit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.workflows.runner import assignments

from ec_release.boot_images import release
from ec_release.boot_images.errors import TagError
from ec_release.closure.source import Commit, read_commit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.ec_release.boot_images.flake import Flake

    Command = Callable[..., tuple[int, str, str]]

REV = "0123456789abcdef0123456789abcdef01234567"
COMMIT = Commit(REV, 1_795_500_000)


def test_the_version_is_the_commits_time() -> None:
    """Whoever looks at the commit comes to the same."""
    made = release.of(COMMIT, wanted="boot-v7")

    assert ("boot-v7", 1_795_500_000, "0123456789ab") == (made.tag, made.version, made.short)
    assert "ec-runner-x86_64-iso-boot-v7-0123456789ab.iso" == made.asset("ec-runner-x86_64-iso", ".iso")


def test_a_tag_is_made_of_the_commit() -> None:
    """Of its time, not of today's."""
    assert "boot-v2026.11.24-060000" == release.of(COMMIT).tag


def test_a_pushed_tag_is_the_releases() -> None:
    """A branch that was pushed is none."""
    assert "boot-v7" == release.of(COMMIT, ref="refs/tags/boot-v7").tag
    assert "boot-v7" == release.of(COMMIT, ref="refs/tags/boot-v7", wanted="boot-v7").tag
    assert "boot-v8" == release.of(COMMIT, ref="refs/heads/main", wanted="boot-v8").tag
    with pytest.raises(TagError, match="is asked for"):
        release.of(COMMIT, ref="refs/tags/boot-v7", wanted="boot-v8")


@pytest.mark.parametrize(
    "tag", ["v1", "boot-v", "boot-v1/2", "boot-v1 2", "boot-v1\n", "boot-v$(id)", "trust", "boot-v-"]
)
def test_other_tags_are_refused(tag: str) -> None:
    """Tags of other releases, and what a file's name cannot hold."""
    with pytest.raises(TagError):
        release.of(COMMIT, wanted=tag)


@pytest.mark.parametrize("annotated", [True, False])
def test_a_tag_keeps_its_commit(repository: Flake, change: Callable[..., str], annotated: bool) -> None:  # noqa: FBT001
    """A release is never made of another commit than its tag says."""
    repository.git("tag", *(["--annotate", "--message", "x"] if annotated else []), "boot-v1")
    assert "boot-v1" == release.of(read_commit(repository.top), wanted="boot-v1").tag

    change(repository)

    with pytest.raises(TagError, match="is commit"):
        release.of(read_commit(repository.top), wanted="boot-v1")
    assert "boot-v2" == release.of(read_commit(repository.top), wanted="boot-v2").tag


def test_the_plan_of_a_release(
    repository: Flake, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job for each target that is switched on, and values that a workflow's later jobs read."""
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    code, out, err = command("targets", "--flake", repository.top, "--tag", "boot-v7", "--json")

    assert (0, "") == (code, err)
    told = json.loads(out)
    lines = assignments((tmp_path / "output").read_text())
    rev = repository.git("rev-parse", "HEAD")
    assert {"tag": "boot-v7", "version": "1795500000", "revision": rev} == {
        key: lines[key] for key in ("tag", "version", "revision")
    }
    assert {"include": told["targets"]} == json.loads(lines["matrix"])
    assert [("runner", ""), ("runner-netboot", f"runner-netboot-boot-v7-{rev[:12]}.tar.zst")] == [
        (job["name"], job["file"]) for job in told["targets"]
    ]


def test_a_dirty_tree_has_no_release(repository: Flake, command: Command) -> None:
    """What is published must be what the commit holds."""
    (repository.top / "forgotten.nix").write_text("{ }")

    code, out, err = command("targets", "--flake", repository.top)

    assert (2, "") == (code, out)
    assert "forgotten.nix" in err
