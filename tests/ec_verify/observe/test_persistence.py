"""Whether the verifier's own state outlives a reboot."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ec_verify.judge.coverage import EPHEMERAL
from ec_verify.observe import mounts, persistence
from ec_verify.observe.persistence import Persistence, judge

if TYPE_CHECKING:
    from tests.ec_verify.conftest import Node

ROOT = b"20 1 0:1 / / rw - ext4 /dev/vda rw\n"
VAR = b"21 20 0:2 / /var rw - %s none rw\n"
OVER = b"22 20 0:3 / /var rw - overlay overlay rw,lowerdir=/bin,upperdir=%s,workdir=/usr\n"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (ROOT, Persistence()),
        (ROOT + VAR % b"xfs", Persistence()),
        (ROOT + VAR % b"tmpfs", Persistence(volatile="tmpfs")),
        (ROOT + VAR % b"ramfs", Persistence(volatile="ramfs")),
        (ROOT + OVER % b"/usr", Persistence()),
        (
            ROOT + b"23 20 0:4 / /usr rw - tmpfs none rw\n" + OVER % b"/usr",
            Persistence(volatile="an overlay whose upper layer is a tmpfs"),
        ),
        (
            ROOT + OVER % b"/nonexistent/upper",
            Persistence(unknown="the upper layer of the overlay it lies on, /nonexistent/upper, is not there"),
        ),
        (ROOT + b"22 20 0:3 / /var ro - overlay overlay ro,lowerdir=/bin\n", Persistence()),
        (b"", Persistence(unknown="which mount /var lies on")),
    ],
    ids=["disk", "disk below", "tmpfs", "ramfs", "overlay", "overlay of tmpfs", "lost", "read-only", "nothing"],
)
def test_what_lies_in_memory_is_gone_after_a_reboot(lines: bytes, expected: Persistence) -> None:
    """By the mount that the directory, or the nearest parent that exists, is seen through."""
    assert expected == judge(Path("/var/nonexistent/state"), mounts.parse(lines))


def test_this_machine_can_be_asked() -> None:
    """Whatever it is."""
    assert isinstance(persistence.observe(Path("/var/lib/ec-verify")), Persistence)


def test_without_proc_it_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no reason to end."""
    monkeypatch.setattr(mounts, "_MOUNTINFO", tmp_path / "none")

    assert "no mounts" in (persistence.observe(tmp_path).unknown or "")


@pytest.mark.nix
@pytest.mark.root
def test_a_node_whose_state_lies_in_memory_says_so(node: Node) -> None:
    """In the report and in the status; it passes all the same."""
    node.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", node.state], check=True)
    try:
        ran = node.run("run", "--json")
        said = node.run("status", time=False).out
    finally:
        subprocess.run(["umount", node.state], check=True)

    text = EPHEMERAL.format("tmpfs")
    assert (0, [text]) == (
        ran.exit,
        [reason for one in ran.report.coverage for reason in one.reasons if text in reason],
    )
    assert text in said


@pytest.mark.nix
def test_a_node_whose_state_is_kept_says_nothing_of_it(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the report nor in the status."""
    monkeypatch.setattr(persistence, "observe", lambda _path: Persistence())

    ran = node.run("run", "--json")

    assert "node" not in {one.step for one in ran.report.coverage}
    assert "since boot" not in node.run("status", time=False).out
