"""The installer says what is wrong before it writes anything; what it writes is a test with a virtual machine."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "nixos" / "install" / "ec-install"


def install(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installer."""
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)


def test_help_is_the_result_and_no_mistake() -> None:
    """It goes to standard output, and nothing else happens."""
    done = install("--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything on DEVICE is lost." in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--disk"], "--disk needs a value"),
        (["--eat", "disk"], "unknown argument --eat"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(arguments: list[str], said: str) -> None:
    """With exit code 2, in one line that says what to do next."""
    done = install(*arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert "see --help" in done.stderr


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root is refused before")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which disk?"),
        (["--disk", "/dev/null"], "/dev/null is no block device"),
        (["--disk", "/nowhere"], "/nowhere is no block device"),
    ],
)
def test_what_is_no_disk_is_not_written_to(arguments: list[str], said: str) -> None:
    """Nor asked about."""
    done = install("--yes", *arguments)

    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root is who it is for")
def test_who_is_not_root_is_told() -> None:
    """Before a device is opened."""
    assert "must be run as root" in install("--disk", "/dev/null").stderr
