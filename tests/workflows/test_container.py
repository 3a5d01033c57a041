"""The dashboard's image on its way: the steps of container.yml and release.yml run here, with a registry and cosign.

What a forge gives is stood in for: Buildx and Trivy by functions, keyless signatures by a key. Commands, their order,
what is pushed, signed, verified and named are real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.ec_release.container.local_registry import Registry, write_layout
from tests.workflows.documents import ROOT, load, read
from tests.workflows.runner import Runner

from ec_release.container import base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKFLOWS = ROOT / ".github" / "workflows"
CONTAINER, RELEASE = WORKFLOWS / "container.yml", WORKFLOWS / "release.yml"
PATH = "every-channel/runner-dashboard"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASE_DIGEST = "sha256:" + "ab" * 32
GITHUB = {
    "event_name": "push", "ref": "refs/tags/v1.2.3", "ref_name": "v1.2.3", "sha": COMMIT,
    "repository_owner": "Every-Channel", "repository": "Every-Channel/runner",
    "server_url": "https://github.com", "actor": "somebody", "token": "secret",
    "run_id": "7", "run_attempt": "1",
}  # fmt: skip
IDENTITY = "https://github.com/Every-Channel/runner/.github/workflows/container.yml@refs/tags/v1.2.3"
DOCKER = """#!/bin/sh
[ "$*" = "buildx imagetools inspect docker.io/library/python:3.13-slim-trixie --format {{json .Manifest}}" ] || exit 9
echo '{"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "%s", "size": 1}'
"""
# Speaks to the registry on loopback instead of the one that is named.
SKOPEO = """#!/bin/bash
command=$1; shift
options=(--tls-verify=false); [ "$command" = copy ] && options=(--src-tls-verify=false --dest-tls-verify=false)
exec %(skopeo)s "$command" "${options[@]}" "${@//ghcr.io/%(host)s}"
"""
# Signs with a key, and verifies with its other half: whom a certificate would have to name is written down instead.
COSIGN = """#!/bin/bash
set -eu
echo "$*" >> %(log)s
words=()
while [ $# -gt 0 ]; do
  case $1 in
    --certificate-*) shift ;;
    *) words+=("${1//ghcr.io/%(host)s}") ;;
  esac
  shift
done
case ${words[0]} in
  sign | attest) words+=(--key %(keys)s/cosign.key --tlog-upload=false %(forms)s) ;;
  verify*) words+=(--key %(keys)s/cosign.pub --insecure-ignore-tlog=true) ;;
esac
COSIGN_PASSWORD= exec %(cosign)s "${words[@]}" --allow-http-registry=true
"""


class World:
    """A registry, keys, and what actions do."""

    def __init__(self, directory: Path, registry: Registry) -> None:
        self.directory, self.registry = directory, registry
        self.keys = directory / "keys"
        self.keys.mkdir()
        self.log = directory / "cosign.log"
        self.artifacts = directory / "artifacts"
        self.grave = False
        self.built: dict[str, str] = {}
        self.outputs: dict[str, dict[str, str]] = {}
        self.cosign("generate-key-pair")
        # From its third version on cosign signs without its log in the older form alone, and must be told so.
        offered = self.cosign("sign", "--help").stdout
        forms = [f"--{name}=false" for name in ("new-bundle-format", "use-signing-config") if f"--{name}" in offered]
        self.forms = " ".join(forms)

    def cosign(self, *words: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run cosign itself; with a *key*, as somebody who verifies."""
        options = [] if key is None else [f"--key={key}", "--insecure-ignore-tlog=true", "--allow-http-registry=true"]
        return subprocess.run(
            [str(shutil.which("cosign")), *words, *options],
            cwd=self.keys, env={**os.environ, "COSIGN_PASSWORD": ""}, check=False, capture_output=True, text=True,
        )  # fmt: skip

    def job(self, name: str, *, kind: str = "release", **github: str) -> Runner:
        """Run a job of container.yml on a machine of its own."""
        host = self.registry.host
        tools = {"host": host, "keys": self.keys, "log": self.log, "forms": self.forms}
        runner = Runner(
            self.directory / f"{name}-{len(list(self.directory.iterdir()))}",
            contexts={
                "github": {**GITHUB, **github},
                "inputs": {"class": kind},
                "needs": {job: {"outputs": outputs} for job, outputs in self.outputs.items()},
            },
            actions={
                "actions/checkout": _nothing, "cachix/install-nix-action": _nothing,
                "docker/setup-buildx-action": _nothing, "docker/login-action": _nothing,
                "sigstore/cosign-installer": _nothing,
                "github/codeql-action/upload-sarif": _nothing, "docker/build-push-action": self.build,
                "aquasecurity/trivy-action": self.scan, "actions/upload-artifact": self.keep,
                "actions/download-artifact": self.fetch,
            },
            programs={
                "docker": DOCKER % BASE_DIGEST,
                "skopeo": SKOPEO % {**tools, "skopeo": shutil.which("skopeo")},
                "cosign": COSIGN % {**tools, "cosign": shutil.which("cosign")},
            },
        )  # fmt: skip
        self.outputs[name] = runner.job(CONTAINER, name)
        return runner

    def build(self, runner: Runner, inputs: dict[str, str]) -> dict[str, str]:
        """Be Buildx: push an image that no tag names, and tell its digest."""
        self.built = inputs
        layout = runner.directory / "layout"
        digest = write_layout(layout, inputs["build-args"] + inputs["labels"])
        name = re.search(r"(?:^|,)name=([^,]+)", inputs["outputs"])
        assert name is not None
        target = name[1].replace("ghcr.io", self.registry.host)
        # skopeo cannot push without naming; the registry has no such name for whoever looks for a tag of ours.
        self.registry.skopeo("copy", "--preserve-digests", f"oci:{layout}:it", f"docker://{target}:pushed-by-digest")
        return {"digest": digest}

    def scan(self, runner: Runner, inputs: dict[str, str]) -> dict[str, str] | None:
        """Be Trivy: write reports, and fail where asked to and something grave was found."""
        assert re.fullmatch(rf"ghcr\.io/{PATH}@sha256:[0-9a-f]{{64}}", inputs["image-ref"])
        if "output" in inputs:
            (runner.directory / inputs["output"]).write_text(
                json.dumps({"bomFormat": "CycloneDX", "format": inputs["format"]})
            )
        return None if self.grave and inputs["exit-code"] == "1" else {}

    def keep(self, runner: Runner, inputs: dict[str, str]) -> dict[str, str]:
        """Keep artifacts."""
        target = self.artifacts / inputs["name"]
        target.mkdir(parents=True, exist_ok=True)
        for path in inputs["path"].split():
            shutil.copy(runner.directory / path, target)
        return {}

    def fetch(self, _: Runner, inputs: dict[str, str]) -> dict[str, str]:
        """Fetch artifacts."""
        shutil.copytree(self.artifacts / inputs["name"], inputs["path"])
        return {}

    def tags(self) -> set[str]:
        """Return the tags that people see: not those of signatures, and not the stand-in for none."""
        said = json.loads(self.registry.skopeo("list-tags", f"docker://{self.registry.host}/{PATH}"))["Tags"]
        return {tag for tag in said if not tag.startswith("sha256-") and tag != "pushed-by-digest"}

    def image(self, digest: str) -> str:
        """Return the reference of an image, where it really is."""
        return f"{self.registry.host}/{PATH}@{digest}"


def _nothing(_: Runner, __: dict[str, str]) -> dict[str, str]:
    return {}


@pytest.fixture
def world(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give a registry and keys."""
    for program in ("docker-registry", "skopeo", "cosign"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on the PATH")
    with Registry(tmp_path_factory.mktemp("registry")) as registry:
        yield World(tmp_path, registry)


def test_an_image_is_signed_before_it_is_named(world: World) -> None:
    """All three jobs, as a release: the tags name the digest that cosign verifies, and nothing else is pushed."""
    for name in ("build", "scan", "publish"):
        runner = world.job(name)
        assert [step.name for step in runner.ran if step.outcome != "success"] == [], [s.output for s in runner.ran]
    digest = world.outputs["build"]["digest"]

    assert world.tags() == {"v1.2.3", "latest"}
    assert {world.registry.digest(PATH, tag) for tag in world.tags()} == {digest}
    assert world.outputs["publish"] == {"reference": f"ghcr.io/{PATH}@{digest}"}
    assert f"```text\nghcr.io/{PATH}@{digest}\n```" in runner.summary
    for command in (
        ["verify"],
        ["verify-attestation", "--type=cyclonedx"],
        ["verify-attestation", "--type=slsaprovenance1"],
    ):
        done = world.cosign(*command, world.image(digest), key=world.keys / "cosign.pub")
        assert done.returncode == 0, done.stderr


def test_what_is_built_is_what_the_registry_had(world: World) -> None:
    """The base's digest is an argument and a label; buildx names nothing, keeps nothing, attests nothing itself."""
    world.job("build")

    assert world.built["build-args"] == f"PYTHON_DIGEST={BASE_DIGEST}"
    assert f"org.opencontainers.image.base.digest={BASE_DIGEST}" in world.built["labels"].splitlines()
    assert f"org.opencontainers.image.revision={COMMIT}" in world.built["labels"].splitlines()
    assert set(world.built["outputs"].split(",")) == {
        "type=image", f"name=ghcr.io/{PATH}", "push-by-digest=true", "name-canonical=true", "push=true",
    }  # fmt: skip
    assert not {"tags", "cache-from", "cache-to", "push"} & world.built.keys()
    assert world.built["no-cache"] == "true"
    assert world.tags() == set()


def test_a_certificate_must_name_this_workflow_at_this_ref(world: World) -> None:
    """Every verification asks for identity, issuer, repository and commit, and for one image by its digest.

    The identity alone is no repository's: a certificate for a called workflow names the file, whoever called it.
    """
    for name in ("build", "scan", "publish"):
        world.job(name)
    verified = [line for line in world.log.read_text().splitlines() if line.startswith("verify")]

    assert len(verified) == 3
    for line in verified:
        assert f"--certificate-identity {IDENTITY} " in line
        assert "--certificate-oidc-issuer https://token.actions.githubusercontent.com " in line
        assert "--certificate-github-workflow-repository Every-Channel/runner " in line
        assert f"--certificate-github-workflow-sha {COMMIT} " in line
        assert line.endswith(f"@{world.outputs['build']['digest']}")


def test_a_grave_finding_ends_it(world: World) -> None:
    """The report is kept all the same; what signs and names needs the scan."""
    world.grave = True
    world.job("build")
    runner = world.job("scan")

    assert [step.name for step in runner.ran if step.outcome == "failure"] == ["Nothing grave that could be mended"]
    assert sorted(file.name for file in (world.artifacts / "dashboard-image").iterdir()) == [
        "dashboard-image.cdx.json",
        "dashboard-image.sarif",
    ]
    assert set(read(CONTAINER).jobs["publish"]["needs"]) == {"build", "scan"}
    assert world.tags() == set()


def test_an_event_of_the_other_class_builds_nothing(world: World) -> None:
    """Whoever calls the workflow for a release on the main branch, or the other way round."""
    for kind, ref in (("release", "refs/heads/main"), ("ci", "refs/tags/v1.2.3"), ("ci", "refs/pull/1/merge")):
        runner = world.job("build", kind=kind, ref=ref)

        assert [step.outcome for step in runner.ran].count("failure") == 1
        assert world.built == {}


def test_an_image_that_was_tampered_with_is_not_named(world: World) -> None:
    """Its manifest was altered in the registry between scan and signature."""
    world.job("build")
    world.job("scan")
    digest = world.outputs["build"]["digest"].removeprefix("sha256:")
    (blob,) = (world.registry.directory / "data").glob(f"**/blobs/sha256/*/{digest}/data")
    blob.write_bytes(blob.read_bytes().replace(b"layers", b"Layers"))
    runner = world.job("publish")

    assert [step.name for step in runner.ran if step.outcome == "failure"] == ["Sign"]
    assert runner.ran[-1].outcome == "skipped"
    assert world.tags() == set()


@pytest.mark.parametrize("missing", ["Sign", "Attest the bill of materials", "Attest the provenance"])
def test_without_a_signature_nothing_is_named(
    world: World, planted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The workflow without that step fails when it verifies, and the tags stay."""
    text = CONTAINER.read_text()
    step = re.search(rf"^      - name: {missing}\n        run: .*\n", text, re.MULTILINE)
    assert step is not None
    without = planted(text.replace(step[0], ""))
    world.job("build")
    world.job("scan")
    monkeypatch.setattr("tests.workflows.test_container.CONTAINER", without.path)
    runner = world.job("publish")

    assert [ran.name.startswith("Verify") for ran in runner.ran if ran.outcome == "failure"] == [True]
    assert runner.ran[-1].outcome == "skipped"
    assert world.tags() == set()


def test_another_key_and_another_image_are_refused(world: World) -> None:
    """By cosign: the signature is of one digest, by one key."""
    for name in ("build", "scan", "publish"):
        world.job(name)
    digest, other = world.outputs["build"]["digest"], world.registry.push(PATH, "another")
    key = world.keys / "cosign.pub"
    stranger = world.directory / "stranger"
    stranger.mkdir()
    world.keys = stranger
    world.cosign("generate-key-pair")

    assert world.cosign("verify", world.image(digest), key=key).returncode == 0
    assert world.cosign("verify", world.image(digest), key=stranger / "cosign.pub").returncode != 0
    assert world.cosign("verify", world.image(other), key=key).returncode != 0
    assert world.cosign("verify-attestation", "--type=cyclonedx", world.image(other), key=key).returncode != 0
    assert world.cosign("verify-attestation", "--type=vuln", world.image(digest), key=key).returncode != 0


def test_the_base_that_is_asked_for_is_the_dockerfiles() -> None:
    """One name, in two files."""
    asked = read(CONTAINER).jobs["build"]["env"]["BASE"]

    assert asked == base.name_in((ROOT / "app" / "Dockerfile").read_text())


def test_tests_gate_whatever_is_published() -> None:
    """In both callers the image needs the tests, and nothing else calls the workflow."""
    callers = {
        name: job
        for file in WORKFLOWS.glob("*.yml")
        for name, job in ((f"{file.name}: {key}", job) for key, job in read(file).jobs.items())
        if job.get("uses") == "./.github/workflows/container.yml"
    }

    assert {name: job["with"]["class"] for name, job in callers.items()} == {
        "build-image.yml: image": "ci",
        "release.yml: image": "release",
    }
    for job in callers.values():
        assert "tests" in job["needs"]


def test_every_change_of_what_is_in_the_image_builds_it() -> None:
    """What the Dockerfile copies, and what builds it, starts CI's image."""
    paths = read(WORKFLOWS / "build-image.yml").data["on"]["push"]["paths"]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "app" / "Dockerfile").read_text(), re.MULTILINE)
    needed = [source for line in copied for source in line.split()]
    needed += [
        "app/Dockerfile",
        "app/trivyignore.yaml",
        ".github/workflows/container.yml",
        ".github/workflows/tests.yml",
    ]

    assert len(needed) > 6
    for source in needed:
        assert any(source == path or f"{source}/".startswith(path.removesuffix("**")) for path in paths), source


def test_the_builder_is_named_by_its_digest() -> None:
    """A tag could name another one tomorrow, which would see the registry's password."""
    (builder,) = [
        step["with"]["driver-opts"]
        for step in read(CONTAINER).jobs["build"]["steps"]
        if step.get("uses", "").startswith("docker/setup-buildx-action@")
    ]
    assert re.fullmatch(r"image=docker\.io/moby/buildkit:v\d+\.\d+\.\d+@sha256:[0-9a-f]{64}", builder)


def test_a_finding_is_accepted_for_a_reason_and_until_a_day() -> None:
    """For good, nobody would look at it again."""
    register = load((ROOT / "app" / "trivyignore.yaml").read_text())

    assert register.keys() == {"vulnerabilities"}
    for entry in register["vulnerabilities"]:
        assert entry.keys() >= {"id", "statement", "expired_at"}, entry
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", entry["expired_at"]), entry


def git(directory: Path, *arguments: object) -> None:
    """Run git, which must succeed."""
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid")
    subprocess.run(["git", "-C", directory, *who, *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """Give a clone of a repository, at the commit of main that is released."""
    tree = tmp_path / "origin"
    (tree / "app").mkdir(parents=True)
    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2026-11-24\n\n### Added\n\n- Something.\n")
    for name in ("", "app"):
        (tree / name / "pyproject.toml").write_text('[project]\nname = "x"\nversion = "1.2.3"\n')
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "add", "--all")
    git(tree, "commit", "--quiet", "--message", "x")
    git(tmp_path, "clone", "--quiet", tree, "tree")
    return tmp_path / "tree"


def run_release(machine: Callable[..., Runner], tree: Path, job: str, tag: str = "v1.2.3") -> tuple[Runner, Path]:
    """Run a job of release.yml; `gh` writes down what it is asked for."""
    log = tree / "gh.log"
    gh = f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\ncat "$8" >> {log}\n[ -n "$GH_TOKEN" ]\n'

    def fetch(_: Runner, inputs: dict[str, str]) -> dict[str, str]:
        Path(inputs["path"]).mkdir()
        for name in ("dashboard-image.cdx.json", "dashboard-image.sarif"):
            (Path(inputs["path"]) / name).write_text("{}")
        return {}

    runner = machine(
        workspace=tree,
        contexts={
            "github": {**GITHUB, "ref_name": tag},
            "needs": {"image": {"outputs": {"reference": f"ghcr.io/{PATH}@{BASE_DIGEST}", "digest": BASE_DIGEST}}},
        },
        actions={
            "actions/checkout": _nothing, "cachix/install-nix-action": _nothing, "actions/download-artifact": fetch,
        },
        programs={"gh": gh},
    )  # fmt: skip
    runner.job(RELEASE, job)
    return runner, log


def test_a_release_says_what_to_install(machine: Callable[..., Runner], released: Path) -> None:
    """Its notes are the changelog's section and the image by digest; its assets what the scan found."""
    runner, log = run_release(machine, released, "publish")
    said = log.read_text()

    assert runner.succeeded, [step.output for step in runner.ran]
    assert said.splitlines()[:5] == ["release", "create", "v1.2.3", "--verify-tag", "--title"]
    assert "--prerelease=false" in said
    assert "- Something." in said
    assert f"```text\nghcr.io/{PATH}@{BASE_DIGEST}\n```" in said


@pytest.mark.parametrize("tag", ["v1.2.4", "v1.2.3-rc.1", "v1.2", "vnext"])
def test_a_tag_that_nothing_speaks_of_is_no_release(machine: Callable[..., Runner], released: Path, tag: str) -> None:
    """The first job fails, and the image needs it."""
    runner, log = run_release(machine, released, "notes", tag)

    assert not runner.succeeded
    assert not log.exists()
    assert "notes" in read(RELEASE).jobs["image"]["needs"]
    assert "is not on main" not in said(runner)


@pytest.mark.parametrize("on_main", [True, False])
def test_a_tag_that_is_not_on_main_is_no_release(
    machine: Callable[..., Runner],
    released: Path,
    on_main: bool,  # noqa: FBT001 - a case of the test
) -> None:
    """Nobody reviewed it."""
    if not on_main:
        git(released, "commit", "--quiet", "--allow-empty", "--message", "not merged")
    runner, _ = run_release(machine, released, "notes")

    assert ("- Something." in said(runner)) == on_main
    assert ("is not on main" in said(runner)) != on_main


def said(runner: Runner) -> str:
    """Return what the steps of a job said."""
    return "".join(step.output for step in runner.ran)
