"""Killed at any moment: no mount stays, no process stays, no half-written state; the next start cleans up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ec_verify.demo.lab import Lab
    from ec_verify.demo.node import Node

pytestmark = [pytest.mark.nix, pytest.mark.root]

# Moments of a run, by the line of progress after which it is killed, and by how many milliseconds.
_MOMENTS = [
    ("trust:", 0), ("bytes:", 0), ("bytes:", 60), ("bytes:", 150), ("source:", 0), ("source:", 40),
    ("rebuild:", 0), ("rebuild:", 100), ("rebuild:", 250), ("rebuild:", 500), ("rebuild:", 900),
]  # fmt: skip


def _mentions(needle: str) -> list[str]:
    """Return the processes whose command line, environment or mounts name *needle*, but for ourselves."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            texts = [(process / name).read_bytes() for name in ("cmdline", "environ", "mountinfo")]
        except OSError:
            continue  # it ended, or is not ours to look at
        if any(needle.encode() in text for text in texts):
            found.append(process.name)
    return found


def _gone(needle: str) -> bool:
    """Wait, for as long as processes that were killed take to be reaped, until nothing names *needle*."""
    for name in _mentions(needle):
        try:
            descriptor = os.pidfd_open(int(name))
        except ProcessLookupError:
            continue
        import select

        select.select([descriptor], [], [], 30)
        os.close(descriptor)
    return not _mentions(needle)


def _kill_after(node: Node, line: str, milliseconds: int) -> int:
    command = [sys.executable, "-m", "ec_verify", "run", "--config", str(node.config), "--level", "full"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(node.directory), "TMPDIR": str(node.directory)}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as process:
        for text in process.stderr or ():
            if text.startswith(line.encode()):
                break
        try:
            process.wait(milliseconds / 1000)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        if milliseconds == 0:
            process.kill()
        if process.stderr:
            process.stderr.close()
    return process.returncode


@pytest.mark.parametrize(("line", "milliseconds"), _MOMENTS)
def test_a_run_that_is_killed_leaves_nothing(lab: Lab, line: str, milliseconds: int) -> None:
    """No mount and no process of it remains, its state is whole, and the next run works and sweeps."""
    node = lab.clone_node(f"killed-{line.strip(':')}-{milliseconds}")
    _kill_after(node, line, milliseconds)
    scratch = str(node.state / "scratch" / "ghost-")
    assert _gone(scratch)
    assert scratch not in Path("/proc/self/mountinfo").read_text()
    assert not [file for file in node.state.rglob("*.report.json") if not file.read_bytes().endswith(b"\n")]
    result = lab.verify(node, "--level", "source")
    assert result.exit == 0, result
    assert [] == list((node.state / "scratch").iterdir())
