"""Outputs of the flake evaluate, from git and from an export alike; and the program that says so can say no."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Evaluate = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests" / "nix"
GOOD = 'derivation { name = "good"; system = "x86_64-linux"; builder = "/bin/sh"; }'


@pytest.fixture
def small(tmp_path: Path, evaluate: Evaluate) -> Callable[..., tuple[int, dict[str, dict[str, Any]]]]:
    """Give a function that evaluates a small flake without inputs: its exit code, and its rows by output."""
    here = tmp_path / "checkout"
    (here / "tests" / "nix").mkdir(parents=True)
    for name in ("evaluate", "outputs.nix"):
        shutil.copy(HERE / name, here / "tests" / "nix" / name)
    (here / "flake.lock").write_text('{"nodes": {"root": {}}, "root": "root", "version": 7}')

    def run(outputs: str, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
        (here / "flake.nix").write_text(f"{{ outputs = {{ self }}: {outputs}; }}")
        for command in (["init", "--quiet"], ["add", "--all"]):
            subprocess.run(["git", *command], cwd=here, check=True)
        script = here / "tests" / "nix" / "evaluate"
        done = evaluate("--json", "--store", tmp_path / "store", *arguments, script=script)
        assert done.stdout, done.stderr
        return done.returncode, {row["output"]: row for row in json.loads(done.stdout)["outputs"]}

    return run


def test_systems_and_programs_are_the_same_from_git_and_from_an_export(evaluate: Evaluate) -> None:
    """CI sees a repository and a node a store path: a difference would make every node fail."""
    only = ("packages.aarch64-linux.ec-verify", "apps.x86_64-linux.ec-", "nixosConfigurations.ec-runner-x86_64")
    wanted = [word for prefix in only for word in ("--only", prefix)]

    done = evaluate("--json", "--no-check", "--from", "both", *wanted)

    assert 0 == done.returncode, done.stdout + done.stderr
    names = {row["output"] for row in json.loads(done.stdout)["outputs"]}
    assert {"packages.aarch64-linux.ec-verify", "apps.x86_64-linux.ec-verify"} <= names
    assert {"nixosConfigurations.ec-runner-x86_64", "nixosConfigurations.ec-runner-x86_64-netboot"} <= names


def test_a_good_flake_passes(small: Callable[..., tuple[int, dict[str, dict[str, Any]]]]) -> None:
    """Derivations of both systems, functions that belong to none, and the two commands of Nix."""
    code, rows = small(f"{{ packages.x86_64-linux.good = {GOOD}; lib.f = x: x; }}", "--from", "both")

    assert 0 == code, rows
    assert {"packages.x86_64-linux.good", "lib.f", "nix flake check", "nix flake show"} == rows.keys()
    assert rows["packages.x86_64-linux.good"]["drv"].endswith("-good.drv")


def test_a_failure_does_not_hide_the_next(small: Callable[..., tuple[int, dict[str, dict[str, Any]]]]) -> None:
    """One run tells all that is broken, each with its own error, and what is not."""
    code, rows = small(
        f'{{ packages.aarch64-linux = {{ a = throw "first"; b = {GOOD}; c = {{ }}.missing; d = 1; }}; }}', "--no-check"
    )

    assert 1 == code
    errors = {name.removeprefix("packages.aarch64-linux."): row["error"] for name, row in rows.items()}
    assert "first" in errors["a"]
    assert "" == errors["b"]
    assert "missing" in errors["c"]
    assert "" != errors["d"]


@pytest.mark.parametrize("origin", ["self.rev or self.dirtyRev or 'none'", "toString (self.revCount or 0)"])
def test_what_reads_the_revision_is_found(
    small: Callable[..., tuple[int, dict[str, dict[str, Any]]]], origin: str
) -> None:
    """An export has no revision, a repository has one."""
    origin = origin.replace("'", '"')
    code, rows = small(
        '{ packages.x86_64-linux.dated = derivation { name = "dated"; system = "x86_64-linux"; builder = "/bin/sh"; '
        f"args = [ ({origin}) ]; }}; }}",
        *("--no-check", "--from", "both"),
    )

    assert 1 == code
    assert "from git: /nix/store/" in rows["packages.x86_64-linux.dated"]["error"]


def test_a_warning_is_a_failure(small: Callable[..., tuple[int, dict[str, dict[str, Any]]]]) -> None:
    """What is printed a thousand times is read by nobody: it is dealt with when it appears."""
    code, rows = small(
        f'{{ packages.x86_64-linux = {{ new = {GOOD}; old = builtins.trace "warning: x is now y" {GOOD}; }}; }}',
        "--no-check",
    )

    assert 1 == code
    assert [] == rows["packages.x86_64-linux.new"]["warnings"]
    assert ["trace: warning: x is now y"] == rows["packages.x86_64-linux.old"]["warnings"]


@pytest.mark.parametrize("impure", ["builtins.currentSystem", "builtins.readFile /etc/hostname"])
def test_what_depends_on_the_machine_is_found(
    small: Callable[..., tuple[int, dict[str, dict[str, Any]]]], impure: str
) -> None:
    """Evaluation is pure, as it is on a node."""
    code, rows = small(f"{{ lib.here = {impure}; }}", "--no-check")

    assert 1 == code
    assert rows["lib.here"]["error"]


def test_importing_from_a_derivation_is_found(
    small: Callable[..., tuple[int, dict[str, dict[str, Any]]]],
) -> None:
    """A node that evaluates builds nothing: the ghost refuses it (P28)."""
    code, rows = small(f"{{ lib.made = builtins.readFile ({GOOD}); }}", "--no-check")

    assert 1 == code
    assert "import" in rows["lib.made"]["error"]


def test_an_empty_choice_is_a_mistake(evaluate: Evaluate) -> None:
    """A prefix with a slip must not pass for an evaluation."""
    done = evaluate("--no-check", "--only", "pakages.")

    assert 2 == done.returncode
    assert "no output has such a name" in done.stderr


def attempt(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the program, whether or not this machine can evaluate."""
    return subprocess.run(
        [HERE / "evaluate", *arguments], env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


def test_without_nix_it_says_so_and_fails_nobody(tmp_path: Path) -> None:
    """A machine without Nix skips, and its log tells what was skipped."""
    done = attempt(NIX=str(tmp_path / "nix"), XDG_CACHE_HOME=str(tmp_path))

    assert 0 == done.returncode
    assert done.stderr.startswith("evaluate: skipped: no Nix from 2.18: there is no ")


def test_an_old_nix_is_not_used(tmp_path: Path) -> None:
    """It would fail on what it does not know, and blame the flake."""
    (tmp_path / "nix").write_text("#!/bin/sh\necho 'nix (Nix) 2.8.0'\n")
    (tmp_path / "nix").chmod(0o755)

    done = attempt("--nix", tmp_path / "nix")

    assert 0 == done.returncode
    assert "nix (Nix) 2.8.0" in done.stderr


@pytest.mark.parametrize("pair", ["nixpkgs", "nixpkgs=/does/not/exist"])
def test_a_source_that_is_named_must_be_there(pair: str) -> None:
    """Who names a tree means that tree, and not what is found elsewhere."""
    done = attempt("--input", pair)

    assert 2 == done.returncode
    assert "is not NAME=DIR" in done.stderr


def test_help_is_the_head_of_the_program() -> None:
    """It says what is needed before anything is done."""
    done = attempt("--help")

    assert 0 == done.returncode
    assert "usage: tests/nix/evaluate" in done.stdout
