"""nix.yml and the composite actions behind it, run here: a flake, real Nix, a real registry, a fake event."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.registry import PASSWORD, USER, Registry, copies, copy_to, oci_layout, running
from tests.workflows.documents import ROOT, load, read
from tests.workflows.rules import pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.workflows.runner import Runner

WORKFLOW = ROOT / ".github" / "workflows" / "nix.yml"
OURS = ROOT / ".github" / "workflows" / "flake-images.yml"
ACTIONS = ROOT / ".github" / "actions"
NAMES = ("flake-matrix", "prepare-image-artifact", "push-ghcr-images")
# To build our own program takes nixpkgs: its command is run as the program of this environment, all else by Nix.
NIX = """#!/bin/sh
case "$1 $2 $3 $4 $5" in
  "run --extra-experimental-features nix-command flakes path:{actions}/"*"/../../..#ec-release --")
    shift 5; exec ec-release "$@" ;;
esac
exec {nix} "$@"
"""
FLAKE = """{{
  outputs = _:
    let
      d = name: derivation {{
        inherit name;
        system = "x86_64-linux";
        builder = "/bin/sh";
        args = [ "-c" "echo > $out" ];
      }};
    in
    {{
      packages.x86_64-linux = {{
        tool = d "tool";
        broken = throw "broken on purpose";
        skipped = d "skipped" // {{ meta.ci.skip = true; }};
        web-image = d "web" // {{ passthru.copyTo = {web}; }};
        held-image = d "held" // {{ passthru.copyTo = {held}; meta.ci.publish = false; }};
      }};
      checks.x86_64-linux.some-image = d "check";
    }};
}}
"""


class Forge:
    """What lies between the jobs of a run: artifacts; and a repository that is checked out, with its event."""

    def __init__(self, directory: Path, machine: Callable[..., Runner], nix_store: Any, registry: Registry) -> None:
        self.directory, self._machine, self._store, self.registry = directory, machine, nix_store, registry
        self.artifacts: dict[str, dict[str, bytes]] = {}
        self.flake = directory / "flake"
        self.event: dict[str, Any] = {"repository": {"full_name": "Owner/Repo", "default_branch": "main"}}
        self.github: dict[str, Any] = {"event_name": "push", "ref": "refs/heads/main"}
        self.machines: list[Runner] = []

    def git(self, *arguments: str) -> str:
        """Run git on the flake's repository."""
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid")
        return subprocess.run(
            ["git", "-C", str(self.flake), *who, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    def commit(self, text: str) -> str:
        """Commit a flake and return the commit."""
        self.flake.mkdir()
        (self.flake / "flake.nix").write_text(text)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "something")
        return self.git("rev-parse", "HEAD")

    def upload(self, _runner: Runner, given: dict[str, str]) -> dict[str, str] | None:
        """Be actions/upload-artifact, with one file: it stands at the top of the artifact, by its own name."""
        assert given.keys() <= set(pins()["actions/upload-artifact"].inputs)
        file = self.directory / given["path"]
        if given["name"] in self.artifacts and given["overwrite"] != "true":
            return None
        self.artifacts[given["name"]] = {file.name: file.read_bytes()}
        return {}

    def download(self, _runner: Runner, given: dict[str, str]) -> dict[str, str] | None:
        """Be actions/download-artifact, with a pattern; nothing that matches is no failure, and makes no directory."""
        assert given.keys() <= set(pins()["actions/download-artifact"].inputs)
        assert given["merge-multiple"] == "true"
        target = self.directory / given["path"]
        for name, files in self.artifacts.items():
            if fnmatch.fnmatchcase(name, given["pattern"]):
                target.mkdir(parents=True, exist_ok=True)
                for file, data in files.items():
                    (target / file).write_bytes(data)
        return {}

    def checkout(self, _runner: Runner, given: dict[str, str]) -> dict[str, str] | None:
        """Be actions/checkout: it is there already, at the commit that is asked for."""
        assert given["persist-credentials"] == "false"
        return {"commit": self.git("rev-parse", given["ref"])}

    def runner(self, **contexts: Any) -> Runner:
        """Make a machine with the flake as its workspace."""
        event = self.directory / "event.json"
        event.write_text(json.dumps(self.event))
        github = {
            "repository": "Owner/Repo", "sha": self.git("rev-parse", "HEAD"), "actor": USER, "token": PASSWORD,
            "event_path": str(event), "event": self.event, "workflow": "CI", "run_id": "1", **self.github,
        }  # fmt: skip
        ours = {
            f"every-channel/runner/.github/actions/{name}": lambda runner, given, name=name: self._action(
                runner, name, given
            )
            for name in NAMES
        }
        home = {"HOME": str(self.registry.home), "XDG_CONFIG_HOME": str(self.registry.home / ".config")}
        directory = self.directory / f"job{len(self.machines)}"
        made = self._machine(
            contexts={"github": github, "secrets": {}, **contexts},
            workspace=self.flake,
            actions={
                "actions/checkout": self.checkout,
                "actions/upload-artifact": self.upload,
                "actions/download-artifact": self.download,
                "cachix/install-nix-action": lambda _runner, _given: {},
                **ours,
            },
            programs={"nix": NIX.format(actions=ACTIONS, nix=shutil.which("nix"))},
            environment={key: value for key, value in self._store.env.items() if key.startswith("NIX")} | home,
            directory=directory,
        )
        self.machines.append(made)
        return made

    def _action(self, runner: Runner, name: str, given: dict[str, str]) -> dict[str, str] | None:
        before = len(runner.ran)
        outputs = runner.action(ACTIONS / name, given)
        return None if any(step.outcome == "failure" for step in runner.ran[before:]) else outputs

    def run(self, **inputs: Any) -> tuple[dict[str, str], dict[str, bool], dict[str, Any]]:
        """Run nix.yml; return the outputs of `detect`, which builds succeeded, and how `push` went."""
        declared = read(WORKFLOW).data["on"]["workflow_call"]["inputs"]
        assert inputs.keys() <= declared.keys()
        given = {name: what.get("default") for name, what in declared.items()} | inputs
        given |= {"repository": "Owner/Repo", "ref": "HEAD", "registry": self.registry.address}
        detect = self.runner(inputs=given).job(WORKFLOW, "detect")
        needs = {"detect": {"outputs": detect, "result": "success"}}
        built = {}
        for row in json.loads(detect["matrix"]):
            machine = self.runner(inputs=given, matrix=row, needs=needs)
            machine.job(WORKFLOW, "build")
            built[f"{row['category']}.{row['name']}"] = machine.succeeded
        machine = self.runner(inputs=given, needs=needs)
        outputs = machine.job(WORKFLOW, "push")
        return detect, built, {"succeeded": machine.succeeded, "machine": machine, **outputs}


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    """Give a registry."""
    with running(tmp_path / "registry") as started:
        yield started


@pytest.fixture
def forge(tmp_path: Path, nix_store: Any, registry: Registry) -> Forge:
    """Give a forge with a flake of every kind of output."""
    from tests.workflows.runner import Runner

    def machine(**arguments: Any) -> Runner:
        return Runner(**arguments)

    made = Forge(tmp_path, machine, nix_store, registry)
    source = oci_layout(tmp_path / "web", "web")
    made.commit(FLAKE.format(web=copies(source), held=copies(source)))
    return made


@pytest.mark.nix
def test_a_flake_goes_all_the_way(forge: Forge) -> None:
    """Detected, built, handed on, pushed: what is broken fails alone, what is withheld stays, and digests come out."""
    detect, built, pushed = forge.run()

    assert json.loads(detect["images"]) == ["web-image"]
    assert built == {
        "packages.broken": False,
        "packages.held-image": True,
        "packages.tool": True,
        "packages.web-image": True,
        "checks.some-image": True,
    }
    assert list(forge.artifacts) == ["image-web.x86_64-linux.env"]
    assert pushed["succeeded"], pushed["machine"].ran
    assert forge.registry.tags("owner/repo/held") == []
    assert forge.registry.tags("owner/repo/web") == sorted([f"git-{detect['commit']}", "latest"])
    digest = forge.registry.digest("owner/repo/web:latest")
    assert json.loads(pushed["digests"]) == {"web": f"{forge.registry.address}/owner/repo/web@{digest}"}
    assert digest.removeprefix("sha256:") in pushed["machine"].summary
    assert re.search(r"\| packages \| skipped \|  \| \S+-skipped \| skipped \|", forge.machines[0].summary)


@pytest.mark.nix
def test_a_pull_request_gets_a_tag_of_its_own(forge: Forge) -> None:
    """From a branch of the repository itself; into a namespace that the caller chose, with a suffix."""
    forge.github = {"event_name": "pull_request", "ref": "refs/pull/7/merge"}
    head = {"sha": "0" * 40, "repo": {"full_name": "Owner/Repo"}}
    forge.event |= {"pull_request": {"number": 7, "head": head}}
    detect, _, pushed = forge.run(**{"ghcr-namespace": "Else/Where", "tag-suffix": "-x"})

    assert pushed["succeeded"], pushed["machine"].ran
    assert forge.registry.tags("else/where/web") == sorted([f"git-{detect['commit']}-x", "pr-7-x"])


@pytest.mark.nix
def test_a_fork_pushes_nothing_whoever_asks(forge: Forge) -> None:
    """The job is not started; and if it were, the program would not push."""
    forge.github = {"event_name": "pull_request", "ref": "refs/pull/7/merge"}
    forge.event |= {"pull_request": {"number": 7, "head": {"sha": "0" * 40, "repo": {"full_name": "stranger/repo"}}}}
    _, built, pushed = forge.run()

    assert built["packages.web-image"]
    assert (pushed["succeeded"], pushed["digests"]) == (True, "{}")
    assert forge.registry.way.requests == []


@pytest.mark.nix
def test_no_image_is_no_failure(forge: Forge) -> None:
    """Where none was built, no artifact is there, and no directory."""
    machine = forge.runner(inputs={})
    outputs = machine.action(ACTIONS / "push-ghcr-images", {"password": PASSWORD, "registry": forge.registry.address})

    assert machine.succeeded, machine.ran
    assert outputs == {"digests": "{}"}


@pytest.mark.nix
@pytest.mark.parametrize(
    "artifact",
    [
        {"image-held.env": b"RUN_ATTR=#held-image.passthru.copyTo\nIMAGE_NAME=held\n"},
        {"image-web.env": b"RUN_ATTR=#web-image.passthru.copyTo\nIMAGE_NAME=web\nX=$(touch pwned)\n"},
        {"image-web.env": b"RUN_ATTR=github:stranger/flake#web-image.passthru.copyTo\nIMAGE_NAME=web\n"},
        {"image-other.env": b"RUN_ATTR=#other-image.passthru.copyTo\nIMAGE_NAME=other\n"},
    ],
)
def test_what_another_job_left_is_not_believed(forge: Forge, artifact: dict[str, bytes]) -> None:
    """An artifact of the right name with the wrong content: nothing of it is pushed, or run."""
    forge.artifacts["image-evil.x86_64-linux.env"] = artifact
    machine = forge.runner(inputs={})
    machine.action(ACTIONS / "push-ghcr-images", {"password": PASSWORD, "registry": forge.registry.address})

    assert machine.succeeded == ("image-held.env" in artifact)
    assert forge.registry.tags("owner/repo/held") == forge.registry.tags("owner/repo/web") == []
    assert list(forge.directory.rglob("pwned")) == []


@pytest.mark.nix
def test_one_image_that_fails_fails_the_job_and_keeps_no_other_back(tmp_path: Path, forge: Forge) -> None:
    """The digest of the other one comes out all the same."""
    shutil.rmtree(forge.flake)
    good = copies(f"oci:{tmp_path}/web")
    forge.commit(
        FLAKE.format(web=good, held=copy_to("echo denied >&2; exit 1")).replace("meta.ci.publish = false;", "")
    )
    _, _, pushed = forge.run()

    assert not pushed["succeeded"]
    (step,) = [step for step in pushed["machine"].ran if "digests" in step.outputs]
    assert list(json.loads(step.outputs["digests"])) == ["web"]
    assert "failed&#58;" in pushed["machine"].summary


@pytest.mark.nix
def test_the_token_is_said_nowhere(forge: Forge) -> None:
    """Neither in the log of a step nor in what is left on the machine's disk."""
    _, _, pushed = forge.run()
    machine = pushed["machine"]
    assert PASSWORD not in "".join(step.output for step in machine.ran)
    left = [file for file in machine.directory.rglob("*") if file.is_file() and PASSWORD.encode() in file.read_bytes()]
    assert left == []
    assert [file.name for file in machine.temporary.iterdir()] == ["ec-descriptors"]


@pytest.mark.parametrize(
    ("event", "images", "detected", "push", "starts"),
    [
        ({}, '["a-image"]', "success", True, True),
        ({}, "[]", "success", True, False),
        ({}, '["a-image"]', "failure", True, False),
        ({}, '["a-image"]', "success", False, False),
        ({"head": {"repo": {"full_name": "o/r"}}}, '["a-image"]', "success", True, True),
        ({"head": {"repo": {"full_name": "x/r"}}}, '["a-image"]', "success", True, False),
    ],
)
def test_when_the_push_starts(event: dict[str, Any], images: str, detected: str, push: bool, starts: bool) -> None:  # noqa: FBT001
    """After a build that failed, too; never for a fork, nor for nothing."""
    from tests.workflows.expressions import condition

    github = {
        "event_name": "pull_request" if event else "push",
        "repository": "o/r",
        "event": {"pull_request": event or {"head": {"repo": {"full_name": ""}}}},
    }
    contexts = {
        "github": github,
        "inputs": {"push": push},
        "needs": {"detect": {"result": detected, "outputs": {"images": images}}},
    }
    text = read(WORKFLOW).jobs["push"]["if"]
    assert condition(text, contexts, "success") is starts
    assert condition(text, contexts, "failure") is starts
    assert condition(text, contexts, "cancelled") is False


def test_runners_are_a_label_or_several() -> None:
    """All jobs run where the caller says."""
    from tests.workflows.expressions import evaluate

    asked = {str(job["runs-on"]) for job in read(WORKFLOW).jobs.values()}
    (text,) = asked
    inner = text.removeprefix("${{").removesuffix("}}")
    assert evaluate(inner, {"inputs": {"runs-on": '["self-hosted", "nix"]'}}) == ["self-hosted", "nix"]
    assert evaluate(inner, {"inputs": {"runs-on": "ubuntu-24.04"}}) == "ubuntu-24.04"


def test_rights_are_where_they_are_needed() -> None:
    """Packages are written by one job, and by none that this repository runs for itself."""
    rights = {name: job["permissions"] for name, job in read(WORKFLOW).jobs.items()}
    assert rights == {
        "detect": {"contents": "read"},
        "build": {"contents": "read"},
        "push": {"contents": "read", "packages": "write"},
    }
    assert {str(job["permissions"]) for job in read(OURS).jobs.values()} == {"{'contents': 'read'}"}


def test_every_job_checks_out_what_the_caller_named() -> None:
    """And all after the first the commit that the first one saw."""
    refs = {}
    for name, job in read(WORKFLOW).jobs.items():
        (source,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert source["with"]["repository"] == "${{ inputs.repository }}"
        refs[name] = source["with"]["ref"]
    commit = "${{ needs.detect.outputs.commit }}"
    assert refs == {"detect": "${{ inputs.ref }}", "build": commit, "push": commit}


def test_our_own_images_are_built_and_not_pushed() -> None:
    """No job of ours pushes what the flake makes (decision 0014)."""
    document = read(OURS)
    uses = [step.data["uses"] for step in document.used()]
    assert "./.github/actions/flake-matrix" in uses
    assert not [one for one in uses if "push" in one or "login" in one]
    assert "push-images" not in document.text


def test_callers_use_no_path_of_their_own_checkout() -> None:
    """`./` would be the caller's repository, which has no action of ours."""
    assert [step.data["uses"] for step in read(WORKFLOW).used() if step.data["uses"].startswith("./")] == []
    for name in NAMES:
        used = [step.data["uses"] for step in read(ACTIONS / name / "action.yml").used()]
        assert not [one for one in used if one.startswith("./")]


def test_the_documents_caller_calls_it() -> None:
    """With inputs that there are, all that are required, and the rights of all jobs; every input is in the table."""
    document = (ROOT / "docs" / "flake-images.md").read_text()
    declared = read(WORKFLOW).data["on"]["workflow_call"]["inputs"]
    (text,) = re.findall(r"^```yaml\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
    (job,) = load(text)["jobs"].values()
    assert re.fullmatch(r"every-channel/runner/\.github/workflows/nix\.yml@[0-9a-f]{40}", job["uses"])
    assert {name for name, what in declared.items() if what.get("required")} <= job["with"].keys() <= declared.keys()
    assert job["permissions"] == read(WORKFLOW).jobs["push"]["permissions"]
    rows = re.findall(r"^\| (`[a-z`, -]+`) \| ", document, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"[a-z-]+", row)} >= declared.keys()


def pin_actions(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run python/pin-actions of the checkout at *root*."""
    program = [sys.executable, root / "python/pin-actions"]
    return subprocess.run([*program, *arguments], capture_output=True, text=True, check=False)


def test_the_pin_of_our_own_actions_holds() -> None:
    """A commit of this history that has the actions, with the inputs that nix.yml gives them."""
    done = pin_actions()
    if done.returncode == 3:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout


def test_the_pin_is_moved(tmp_path: Path) -> None:
    """To a commit that has the actions, everywhere; one that has other inputs, or none of them, is told."""
    copy = tmp_path / "copy"
    for name in ("python/pin-actions", ".github/workflows/nix.yml", "tests/workflows/pins.toml"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid")
        return subprocess.run(
            ["git", "-C", str(copy), *who, *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    assert pin_actions(root=copy).returncode == 3
    git("add", "--all")
    git("commit", "--quiet", "--message", "without actions")
    without = pin_actions("HEAD", root=copy)
    assert without.returncode == 1
    assert without.stdout.count("is not there at") == 3
    shutil.copytree(ACTIONS, copy / ".github/actions")
    git("add", "--all")
    git("commit", "--quiet", "--message", "with actions")
    commit = git("rev-parse", "HEAD")
    assert pin_actions("HEAD", root=copy).returncode == 0
    text = (copy / ".github/workflows/nix.yml").read_text()
    assert set(re.findall(r"every-channel/runner/\S+@(\S+)", text)) == {commit}
    assert (copy / "tests/workflows/pins.toml").read_text().count(commit) == 3
    action = copy / ".github/actions/flake-matrix/action.yml"
    action.write_text(action.read_text().replace("  categories:", "  kinds:"))
    git("commit", "--quiet", "--all", "--message", "other inputs")
    assert pin_actions(root=copy).returncode == 0
    pins_file = copy / "tests/workflows/pins.toml"
    pins_file.write_text(pins_file.read_text().replace('"categories", ', ""))
    told = pin_actions(root=copy)
    assert told.returncode == 1
    assert "lists other inputs" in told.stdout
    git("checkout", "--quiet", "--orphan", "elsewhere")
    git("commit", "--quiet", "--all", "--message", "another history")
    assert "is not in this history" in pin_actions(root=copy).stdout
    assert pin_actions("--help", root=copy).returncode == 2
