"""Manual pages and completions: made from the command tree of each program, and fit for what reads them."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAN = ROOT / "python" / "man"
PROGRAMS = sorted(
    main.parent.name
    for main in [*ROOT.glob("python/*/src/*/main.py"), *ROOT.glob("app/src/*/main.py")]
    if "def make_app" in main.read_text()
)


def run(*command: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program that reads text."""
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    """Give the manual page of each program."""
    made = {}
    for program in PROGRAMS:
        ran = run(sys.executable, MAN, f"{program}.main")
        assert (0, "") == (ran.returncode, ran.stderr)
        made[program] = ran.stdout
    return made


@functools.cache
def names(program: str) -> tuple[str, ...]:
    """Return the commands of a program as its help lists them, as the program itself says, without groups."""
    script = (
        f"from {program}.main import make_app\n"
        "def walk(app, words):\n"
        "    inner = sorted(set(app) - {'--help', '-h', '--version'})\n"
        "    if not inner and words: print(' '.join(words))\n"
        "    for name in inner: walk(app[name], [*words, name])\n"
        "walk(make_app(), [])\n"
    )
    ran = run(sys.executable, "-c", script)
    assert ran.returncode == 0, ran.stderr
    return tuple(ran.stdout.splitlines())


def plain(text: str) -> str:
    """Return roff without what it only needs for setting."""
    return re.sub(r"\\f[BIR]|\\&", "", text).replace(r"\-", "-")


def test_every_program_has_a_command_tree() -> None:
    """None is forgotten by mistake."""
    assert {"ec_release", "ec_verify"} <= set(PROGRAMS)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_page_names_every_command_and_what_it_takes(pages: dict[str, str], program: str) -> None:
    """Under a heading of its own."""
    told = plain(pages[program])

    assert names(program)
    assert set(names(program)) <= set(re.findall(r"^\.SS (.*)$", told, re.MULTILINE))
    assert program != "ec_verify" or {"--offline", "--level LEVEL"} <= set(re.findall(r"^--.*$", told, re.MULTILINE))


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize(
    "checker",
    [
        ["groff", "-ww", "-man", "-Tutf8", "-z"],
        ["man", "--warnings", "--encoding=UTF-8", "--local-file", "--ditroff", "-"],
        ["mandoc", "-Tlint", "-Werror"],
    ],
    ids=lambda checker: checker[0],
)
def test_a_page_is_set_without_complaint(pages: dict[str, str], program: str, checker: list[str]) -> None:
    """By each of the readers that are installed."""
    if shutil.which(checker[0]) is None:
        pytest.skip(f"there is no {checker[0]} on the PATH")

    ran = run(*checker, stdin=pages[program])

    assert (0, "") == (ran.returncode, ran.stderr)


def test_a_page_is_the_same_every_time(pages: dict[str, str]) -> None:
    """No day, no machine and no person in it: packages of it reproduce."""
    assert pages["ec_verify"] == run(sys.executable, MAN, "ec_verify.main").stdout
    assert all(page.isascii() for page in pages.values())


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_command(program: str, shell: str) -> None:
    """In a script that the shell reads, where it is installed."""
    ran = run(sys.executable, MAN, "--completion", shell, f"{program}.main")

    assert (0, "") == (ran.returncode, ran.stderr)
    assert {name.split()[0] for name in names(program)} <= set(re.findall(r"[a-z][a-z-]*", ran.stdout))
    if shutil.which(shell) is not None:
        checked = run(shell, "-n", stdin=ran.stdout)
        assert (0, "") == (checked.returncode, checked.stderr)
    assert str(Path.home()) not in ran.stdout


def test_what_is_no_program_is_told() -> None:
    """A mistake in a package ends its build."""
    assert 0 != run(sys.executable, MAN, "ec_closure.nothing").returncode
