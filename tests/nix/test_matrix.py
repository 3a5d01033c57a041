"""The scripts that run the suite on other releases of Nix: what they refuse, and what they say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSIDE = ROOT / "tests" / "nix" / "inside"
MATRIX = ROOT / "tests" / "nix" / "matrix"


def attempt(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a script and return how it went."""
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_is_the_head_of_the_script() -> None:
    """Asked for help, the script says what it does and touches nothing."""
    done = attempt(MATRIX, "--help")

    assert 0 == done.returncode
    assert "every Nix that is supported" in done.stdout


def test_an_unknown_option_is_refused() -> None:
    """A mistyped option is not taken for a suite that would be fetched."""
    done = attempt(MATRIX, "--rootonly")

    assert 2 == done.returncode
    assert "tests/nix/matrix [--root-only]" in done.stderr


def test_a_directory_that_is_no_system_is_refused(tmp_path: Path) -> None:
    """Nothing is copied into a directory that holds no system."""
    done = attempt(INSIDE, tmp_path, "true")

    assert 2 == done.returncode
    assert "is no root directory of a system" in done.stderr
    assert [] == list(tmp_path.iterdir())


def test_the_suite_with_a_nix_that_is_not_there_says_so(tmp_path: Path) -> None:
    """A wrong path must not end in a suite that was run with another Nix."""
    done = attempt(ROOT / "dev", "test", "--nix", tmp_path / "nix", "tests/nix/test_matrix.py")

    assert 1 == done.returncode
    assert "is neither a program nor a root directory" in done.stderr


@pytest.mark.root
def test_a_command_runs_with_the_other_root_as_its_own(tmp_path: Path) -> None:
    """The real root of its namespace: a chroot forbids the user namespaces that sandboxed builds need."""
    for name in ("bin", "usr", "lib", "lib64", "etc"):
        if (Path("/") / name).is_symlink():
            (tmp_path / name).symlink_to(os.readlink(f"/{name}"))  # noqa: PTH115 - the text itself
    for name in ("proc", "dev", "sys", "run", "mnt", "tmp", "usr", "etc"):
        (tmp_path / name).mkdir(exist_ok=True)
    script = (
        'mount --bind /usr "$1/usr" && exec "$2" "$1" sh -c '
        '"unshare --user --map-root-user true && ls tests/nix/inside && ls /mnt && pwd"'
    )
    done = attempt("unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", tmp_path, INSIDE)

    assert 0 == done.returncode, done.stderr
    assert ["tests/nix/inside", "/srv/checkout"] == done.stdout.split()
