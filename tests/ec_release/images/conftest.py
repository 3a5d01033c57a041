"""Flakes on throw-away stores, as `ec-release matrix` and `ec-release push-images` see them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from tests.registry import PASSWORD, USER, Registry, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SYSTEM = "x86_64-linux"


class FlakeTree:
    """A git repository with a flake whose packages and checks are given as Nix text."""

    def __init__(self, top: Path) -> None:
        self.top = top
        top.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """Run git, which must succeed."""
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid")
        done = subprocess.run(
            ["git", "-C", str(self.top), *who, *arguments], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, outputs: str) -> FlakeTree:
        """Commit a flake with these outputs; `d NAME EXTRA` is a derivation, `image NAME EXTRA` one that is copied."""
        text = f"""{{
  outputs = _:
    let
      d = name: extra: derivation ({{
        inherit name;
        system = "{SYSTEM}";
        builder = "/bin/sh";
        args = [ "-c" "echo > $out" ];
      }} // extra);
      image = name: extra: d name {{ }} // {{ passthru.copyTo = d "copy-to" {{ }}; }} // extra;
    in
    {{ {outputs} }};
}}
"""
        (self.top / "flake.nix").write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "something")
        return self


@pytest.fixture
def new_flake(tmp_path: Path) -> Callable[..., FlakeTree]:
    """Give a function that makes a flake with some outputs."""

    def make(outputs: str, name: str = "flake") -> FlakeTree:
        return FlakeTree(tmp_path / name).write(outputs)

    return make


@pytest.fixture
def in_store(nix_store: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a throw-away store that every nix of this test uses."""
    for name, value in nix_store.env.items():
        monkeypatch.setenv(name, value)
    return nix_store


@pytest.fixture(autouse=True)
def _no_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test write to the runner that it may itself run on, nor read its event."""
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REF"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Give a registry, known to skopeo as one without TLS, and its credentials where the command looks for them."""
    with running(tmp_path / "registry") as started:
        for name, value in {
            **started.variables,
            "REGISTRY_PASSWORD": PASSWORD,
            "GITHUB_ACTOR": USER,
            "RUNNER_TEMP": str(tmp_path / "temp"),
        }.items():
            monkeypatch.setenv(name, value)
        (tmp_path / "temp").mkdir()
        yield started
