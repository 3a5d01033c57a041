"""What every file of the repository is held to."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
TRACKED = [
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split("\0")
    if name and (ROOT / name).is_file() and not (ROOT / name).is_symlink()
]
PYTHON = [file for file in TRACKED if file.suffix == ".py"]
TESTS = [file for file in PYTHON if file.name.startswith("test_") and file.is_relative_to(ROOT / "tests")]
MAX_LINES = 400
# A file of tests lists cases of one noun, and its helpers are read with them.
MAX_TEST_LINES = 600

# Written so that the patterns do not find themselves.
REGISTRY = re.compile(
    r"py[p]i\.(org|io|python)|python[h]osted|npm[j]s\.(org|com)|deb[.]debian[.]|security[.]debian[.]|archive[.]ubuntu[.]"
    r"|crates[.]io|ruby[g]ems\.org|registry[.]yarnpkg|proxy[.]golang"
)
MACHINE = re.compile(r"(?<![\w.$}])/(work|far[m]|home|root|Users|mnt/c)/[\w.-]+")


def text_of(file: Path) -> str:
    """Return the text of a file, of a binary one what looks like text."""
    return file.read_bytes().decode(errors="replace")


def found(pattern: re.Pattern[str]) -> list[str]:
    """Return where *pattern* stands in tracked files, as `file:line: match`."""
    return [
        f"{file.relative_to(ROOT)}:{number}: {match[0]}"
        for file in TRACKED
        for number, line in enumerate(text_of(file).splitlines(), 1)
        for match in pattern.finditer(line)
    ]


def name(file: Path) -> str:
    """Return what a file is called here."""
    return str(file.relative_to(ROOT))


def interpreter(file: Path) -> str:
    """Return the program that a file names in its first line, without its directory."""
    with file.open("rb") as stream:
        first = stream.readline(200)
    return first[2:].split()[-1].decode().rpartition("/")[2] if first.startswith(b"#!") else ""


SCRIPTS = [file for file in TRACKED if interpreter(file) in ("bash", "sh") or file.suffix in (".sh", ".bash")]


def test_there_is_something_to_look_at() -> None:
    """The lists are not empty by mistake."""
    assert {ROOT / "dev", ROOT / ".ci" / "run"} <= set(SCRIPTS)
    assert len(PYTHON) > 100
    assert len(TESTS) > 20


def test_no_registry_is_named() -> None:
    """Where packages come from is the business of the machine that fetches them: locks hold hashes."""
    assert found(REGISTRY) == []


def test_no_machine_is_named() -> None:
    """A path that one machine has says nothing on another."""
    assert found(MACHINE) == []


def test_our_repository_has_one_name() -> None:
    """That of docs/release-authority.toml; in examples, a fleet's own is beside it."""
    (ours,) = re.findall(r'^repository = "([^"{]+)"$', text_of(ROOT / "docs/release-authority.toml"), re.MULTILINE)
    owner, name = ours.split("/")
    places = r"github:|github\.com/|(?:git|forge)\.example\.org/|repository[ =]"
    others = rf"(?:{places}){owner}/(?!(?:{name}|fleet)(?![\w-]))[\w.-]+"
    assert found(re.compile(others)) == []


def test_no_module_grows_out_of_sight() -> None:
    """A file holds one noun."""
    grown = {
        name(file): lines
        for file in PYTHON
        if (lines := len(text_of(file).splitlines()))
        > (MAX_TEST_LINES if file.is_relative_to(ROOT / "tests") else MAX_LINES)
    }
    assert grown == {}


def test_the_developers_script_stays_short() -> None:
    """What it does belongs into programs that can be tested."""
    assert len(text_of(ROOT / "dev").splitlines()) < 100


def test_every_test_says_what_it_holds() -> None:
    """In a sentence: what is broken when it fails."""
    silent = [
        f"{name(file)}:{node.lineno}: {node.name}"
        for file in TESTS
        for node in ast.walk(ast.parse(text_of(file)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and len((ast.get_docstring(node) or "").split()) < 2
    ]

    assert silent == []


def test_scripts_parse() -> None:
    """By the shell that runs them, and to the satisfaction of shellcheck where it is installed."""
    checks = [["{}", "-n"]]
    if shutil.which("shellcheck"):
        checks.append(["shellcheck", "--severity=warning", "--shell={}"])
    for check in checks:
        for file in SCRIPTS:
            # Builders read theirs with bash, without a first line.
            command = [word.format(interpreter(file) or "bash") for word in check]
            done = subprocess.run([*command, file], check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_run_is_executable() -> None:
    """A first line that names an interpreter goes with the right to be run."""
    assert [name(file) for file in TRACKED if interpreter(file) and not file.stat().st_mode & 0o111] == []


def test_migrations_are_one_chain() -> None:
    """Each has the number of its file and follows the one before: two that were made at one time would be two heads."""
    chain = [
        (file.name[1:5], *re.findall(r'^(?:down_)?revision = (?:"(\d{4})"|None)$', text_of(file), re.MULTILINE))
        for file in sorted((ROOT / "app/src/runner_dashboard/data/migrations/versions").glob("v*.py"))
    ]

    numbers = [f"{number:04}" for number in range(1, len(chain) + 1)]
    assert [(number, number, "" if number == "0001" else f"{int(number) - 1:04}") for number in numbers] == chain
