"""`tofu/deploy`: what is applied is a plan that was shown, of an image whose signer was named, from locked builds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.tofu.reference import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tofu.conftest import Tofu

REPOSITORY = "example/ec-runner"
IDENTITY = f"https://github.com/{REPOSITORY}/.github/workflows/container.yml@refs/tags/v1.2.3"
IMAGE = f"ghcr.io/example/runner-dashboard@sha256:{'0123456789abcdef' * 4}"
COSIGN = """#!/bin/sh
printf '%s\\n' "$@" > "$COSIGN_SAID"
exit "$COSIGN_ANSWERS"
"""
LOCAL = 'terraform {\n  backend "local" {}\n}\n'


class Stack:
    """A copy of the stack, ready to be deployed, with a state beside it and a cosign that answers as it is told."""

    def __init__(self, tofu: Tofu) -> None:
        self.directory = tofu.stack
        self.state = tofu.root / "state.json"
        self.said = tofu.root / "said"
        programs = tofu.root / "programs"
        programs.mkdir()
        (programs / "cosign").write_text(COSIGN)
        (programs / "cosign").chmod(0o755)
        self.env = {**tofu.env, "PATH": f"{programs}{os.pathsep}{tofu.env['PATH']}", "COSIGN_SAID": str(self.said)}
        (self.directory / "backend_override.tf").write_text(LOCAL)
        (self.directory / "backend.hcl").write_text(f"path = {json.dumps(str(self.state))}\n")
        (self.directory / ".terraform.lock.hcl").write_text("# nothing is locked: the provider is attached\n")
        self.configure()

    def configure(self, **variables: Any) -> None:
        """Write terraform.tfvars.json, with *variables* laid over what must be given."""
        given = {
            "image": IMAGE,
            "public_url": "https://dashboard.example.org",
            "secret_files": {"identity.bootstrap_token_file": {"name": "dashboard-bootstrap"}},
        }
        (self.directory / "terraform.tfvars.json").write_text(json.dumps({**given, **variables}))

    def deploy(self, *argv: str, signed: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run tofu/deploy."""
        return subprocess.run(
            [sys.executable, ROOT / "deploy", self.directory, *argv],
            env={**self.env, "COSIGN_ANSWERS": "0" if signed else "1"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def installed(self) -> list[str]:
        """The images of what the state has."""
        if not self.state.exists():
            return []
        return [
            instance["attributes"]["spec"][0]["template"][0]["spec"][0]["container"][0]["image"]
            for resource in json.loads(self.state.read_text())["resources"]
            if resource["type"] == "kubernetes_stateful_set_v1"
            for instance in resource["instances"]
        ]


@pytest.fixture
def stack(scratch: Tofu) -> Stack:
    """Return a stack that was never deployed."""
    return Stack(scratch)


def test_a_signed_image_is_installed(stack: Stack) -> None:
    """And cosign was asked for exactly this identity, issuer, repository and digest."""
    done = stack.deploy("--identity", IDENTITY, "--yes")

    assert 0 == done.returncode, done.stderr
    assert [IMAGE] == stack.installed
    assert stack.said.read_text().splitlines() == [
        "verify", "--certificate-identity", IDENTITY,
        "--certificate-oidc-issuer", "https://token.actions.githubusercontent.com",
        "--certificate-github-workflow-repository", REPOSITORY, IMAGE,
    ]  # fmt: skip


def test_twice_is_once(stack: Stack) -> None:
    """Nothing changes when nothing changed."""
    stack.deploy("--identity", IDENTITY, "--yes")
    before = json.loads(stack.state.read_text())["resources"]

    done = stack.deploy("--identity", IDENTITY, "--yes")

    assert 0 == done.returncode, done.stderr
    assert "No changes" in done.stdout
    assert before == json.loads(stack.state.read_text())["resources"]


@pytest.mark.parametrize("identity", [IDENTITY.partition("@")[0], "https://github.com/example", "somebody@example.org"])
def test_what_is_no_workflow_at_a_ref_is_nobody(stack: Stack, identity: str) -> None:
    """Its repository could not be asked for, and anybody may call a workflow from a repository of their own."""
    done = stack.deploy("--identity", identity, "--yes")

    assert 2 == done.returncode
    assert f"{identity} is no workflow at a ref" in done.stderr
    assert not stack.said.exists()
    assert [] == stack.installed


def test_an_image_that_somebody_else_signed_is_not_installed(stack: Stack) -> None:
    """Whatever was said at the terminal."""
    done = stack.deploy("--identity", IDENTITY, "--yes", signed=False)

    assert 1 == done.returncode
    assert f"is not signed by {IDENTITY}" in done.stderr
    assert [] == stack.installed


def test_the_image_that_runs_stays_when_the_next_is_not_signed(stack: Stack) -> None:
    """A refused upgrade changes nothing."""
    stack.deploy("--identity", IDENTITY, "--yes")
    stack.configure(image=IMAGE.replace("0123", "ffff"))

    done = stack.deploy("--identity", IDENTITY, "--yes", signed=False)

    assert 1 == done.returncode
    assert [IMAGE] == stack.installed


def test_a_tag_is_not_installed(stack: Stack) -> None:
    """Not even where the module would take it."""
    stack.configure(image="ghcr.io/example/runner-dashboard:edge", allow_mutable_image=True)

    done = stack.deploy("--identity", IDENTITY, "--yes")

    assert 1 == done.returncode
    assert "is no reference by digest" in done.stderr
    assert not stack.said.exists()
    assert [] == stack.installed


def test_a_tag_is_installed_where_nobody_is_asked(stack: Stack) -> None:
    """For throw-away clusters; it is said aloud."""
    stack.configure(image="ghcr.io/example/runner-dashboard:edge", allow_mutable_image=True)

    done = stack.deploy("--unsafe-unverified", "--yes")

    assert 0 == done.returncode, done.stderr
    assert "UNVERIFIED" in done.stderr
    assert ["ghcr.io/example/runner-dashboard:edge"] == stack.installed


@pytest.mark.parametrize("missing", [".terraform.lock.hcl", "backend.hcl"])
def test_without_a_lock_or_a_place_for_the_state_nothing_begins(stack: Stack, missing: str) -> None:
    """Nothing is initialised, and it is said what makes the file."""
    (stack.directory / missing).unlink()

    done = stack.deploy("--identity", IDENTITY, "--yes")

    assert 2 == done.returncode
    assert missing in done.stderr
    assert "" == done.stdout
    assert not (stack.directory / ".terraform").exists()


def test_only_yes_is_yes(stack: Stack) -> None:
    """An empty line and a closed terminal are not."""
    for answer in ("", "\n", "y\n", "no\n"):
        done = stack.deploy("--identity", IDENTITY, stdin=answer)
        assert 1 == done.returncode
        assert [] == stack.installed

    assert 0 == stack.deploy("--identity", IDENTITY, stdin="yes\n").returncode
    assert [IMAGE] == stack.installed


def test_a_plan_changes_nothing(stack: Stack) -> None:
    """It is shown, and its image verified."""
    done = stack.deploy("--identity", IDENTITY, "--plan")

    assert 0 == done.returncode, done.stderr
    assert IMAGE in done.stdout
    assert stack.said.exists()
    assert [] == stack.installed


def test_the_volume_with_the_evidence_is_not_deleted(stack: Stack) -> None:
    """A change that would is refused as a whole."""
    stack.deploy("--identity", IDENTITY, "--yes")
    stack.configure(storage={"existing_claim": "another"}, image=IMAGE.replace("0123", "ffff"))

    done = stack.deploy("--identity", IDENTITY, "--yes")

    assert 3 == done.returncode
    assert "prevent_destroy" in done.stderr
    assert [IMAGE] == stack.installed


def test_no_plan_is_left_behind(stack: Stack, tmp_path: Path) -> None:
    """Neither in the stack nor where temporary files are."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    stack.env["TMPDIR"] = str(temporary)

    stack.deploy("--identity", IDENTITY, "--yes")

    assert [] == list(temporary.iterdir())
    assert not list(stack.directory.glob("*plan*"))


def test_whom_to_believe_must_be_said(stack: Stack) -> None:
    """There is no default: neither an identity nor that nobody is asked."""
    assert 2 == stack.deploy("--yes").returncode
    assert 2 == stack.deploy("--yes", "--identity", IDENTITY, "--unsafe-unverified").returncode
    assert [] == stack.installed
