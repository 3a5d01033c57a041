"""app/Dockerfile, read as text: what an image must hold to, whoever builds it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from runner_dashboard.config import variables

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "app" / "Dockerfile"
NIX_IMAGE = ROOT / "nixos" / "packages" / "dashboard-image.nix"
KNOWN = {
    "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER",
    "VOLUME", "WORKDIR",
}  # fmt: skip
ENTRY = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.MULTILINE)


def instructions() -> list[tuple[str, str]]:
    """Return the instructions with their arguments, continued lines joined and comments gone."""
    text = "\n".join(line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#"))
    lines = text.replace("\\\n", " ").splitlines()
    return [(word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def last_stage() -> list[tuple[str, str]]:
    """Return the instructions of the stage that is shipped."""
    found = instructions()
    start = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def locked(name: str) -> dict[str, str]:
    """Return what a lock holds."""
    return dict(ENTRY.findall((ROOT / name).read_text()))


def test_it_is_a_dockerfile() -> None:
    """Every instruction is one that the format knows."""
    assert {word for word, _ in instructions()} <= KNOWN


def test_both_stages_stand_on_one_pinned_base() -> None:
    """By a digest that CI passes, and that has no default: a tag alone is never built on."""
    bases = [arguments for word, arguments in instructions() if word == "FROM"]
    (build, final) = bases

    assert build == f"{final} AS build"
    assert re.fullmatch(r"[\w./-]+:[\w.-]+@\$\{PYTHON_DIGEST\}", final)
    assert [arguments for word, arguments in instructions() if word == "ARG"] == ["PYTHON_DIGEST"]


def test_what_is_shipped_runs_as_nobody_in_particular() -> None:
    """By number, so that whoever enforces it need not read our /etc/passwd."""
    assert [arguments for word, arguments in last_stage() if word == "USER"] == ["10001:10001"]


def test_nothing_runs_in_the_stage_that_is_shipped() -> None:
    """It holds what was copied: no installer's traces, no tools."""
    assert not [word for word, _ in last_stage() if word == "RUN"]
    for word, arguments in last_stage():
        if word == "COPY":
            assert arguments.startswith("--from=build ")


def test_whatever_is_fetched_has_its_hash() -> None:
    """Requirements by hash; our own packages from the context, without an index."""
    commands = [
        command.strip() for word, arguments in instructions() if word == "RUN" for command in arguments.split("&&")
    ]
    installing = [shlex.split(command) for command in commands if "pip" in command and "venv" not in command]

    assert len(installing) == 4
    for words in installing:
        assert "--require-hashes" in words or "--no-deps" in words
    assert not re.search(r"curl|wget|apt|git\b|http", " ".join(commands))


def test_what_is_copied_is_there_and_may_be_seen() -> None:
    """The ignore file lets through what is copied, and nothing else."""
    copied = [
        source
        for word, arguments in instructions()
        if word == "COPY" and "--from" not in arguments
        for source in arguments.split()[:-1]
    ]
    ignored = (ROOT / "app" / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in ignored if line and not line.startswith("#")]

    assert rules[0] == "*"
    assert {f"!{source}" for source in copied} == {rule for rule in rules if rule.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.parametrize("file", [DOCKERFILE, NIX_IMAGE], ids=lambda file: file.name)
def test_its_environment_is_one_that_the_program_knows(file: Path) -> None:
    """A variable that names no key would stop it at the start."""
    names = set(re.findall(r"RUNNER_DASHBOARD_\w+", file.read_text()))

    assert names
    assert names <= variables().keys()


def test_it_serves_is_asked_and_is_stopped() -> None:
    """By the program itself: there is no curl inside, and signals reach it."""
    words = dict(last_stage())

    assert json.loads(words["ENTRYPOINT"]) == ["runner-dashboard"]
    assert json.loads(words["CMD"]) == ["serve"]
    assert json.loads(words["HEALTHCHECK"].partition(" CMD ")[2]) == ["runner-dashboard", "healthcheck"]
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert words["EXPOSE"] == "8080"
    assert words["VOLUME"] == "/var/lib/runner-dashboard"


def test_its_locks_are_parts_of_the_lock() -> None:
    """What is tested is what is shipped; tools for tests are not shipped."""
    whole, runs, builds = map(locked, ("requirements.lock", "app/requirements.lock", "app/requirements-build.lock"))

    assert runs.items() <= whole.items()
    assert builds.items() <= whole.items()
    assert {"alembic", "starlette", "uvicorn", "sqlalchemy"} <= runs.keys()
    assert not {"pytest", "mypy", "ruff", "hatchling", "playwright"} & runs.keys()
    assert "hatchling" in builds
