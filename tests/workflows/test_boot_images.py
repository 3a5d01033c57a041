"""The workflows of boot images, step by step on this machine: real git, real Nix, a forge on the loopback.

What a runner brings along is played here: the checkout, artifacts between jobs, a matrix, secrets. The flake is small;
everything else is what runs in CI, its clock included: no workflow sets one.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.ec_release.boot_images.flake import NIX_CONF, Flake
from tests.ec_release.forge.server import REPOSITORY, TOKEN, Forge, serving
from tests.workflows.documents import ROOT, read
from tests.workflows.expressions import condition, evaluate
from tests.workflows.runner import Runner

from ec_closure import manifest as manifests
from ec_fetch.client import TrustClient, TrustSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORKFLOWS = ROOT / ".forgejo" / "workflows"
BOOT_IMAGES, REFRESH = WORKFLOWS / "boot-images.yml", WORKFLOWS / "refresh-timestamp.yml"
NAME = f"ec-runner-{platform.machine()}"
NIX = """#!/bin/sh
case "$1 $2 $3" in
  "run .#ec-release --") shift 3; exec ec-release "$@" ;;
esac
exec @NIX@ "$@"
"""
CHECKOUT = "https://data.forgejo.org/actions/checkout"
UPLOAD = "https://data.forgejo.org/forgejo/upload-artifact"
DOWNLOAD = "https://data.forgejo.org/forgejo/download-artifact"


def run(*command: str | Path, **options: Any) -> str:
    """Run a program, which must succeed, and return what it said."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Ci:
    """A forge with a repository, its secrets, and runners; *artifacts* lie in a directory, one below each name."""

    directory: Path
    forge: Forge
    flake: Flake
    secrets: dict[str, str] = field(default_factory=dict)
    event: str = "workflow_dispatch"
    ref: str = "refs/heads/main"
    inputs: dict[str, Any] = field(default_factory=dict)
    jobs: dict[str, Runner] = field(default_factory=dict)

    @property
    def artifacts(self) -> Path:
        """Where artifacts are."""
        return self.directory / "artifacts"

    def job(self, workflow: Path, name: str, *, needs: Any = None, matrix: Any = None) -> dict[str, str]:
        """Run one job on a new machine; return its outputs."""
        shown = f"{name} {matrix['name']}" if matrix else name
        base = self.directory / f"job-{len(self.jobs)}"
        (base / "workspace").mkdir(parents=True)
        runner = Runner(
            base / "machine",
            contexts={
                "github": {
                    "event_name": self.event,
                    "ref": self.ref,
                    "ref_name": self.ref.partition("/")[2].partition("/")[2],
                    "sha": self.flake.git("rev-parse", self.ref),
                    "server_url": self.forge.url,
                    "api_url": f"{self.forge.url}/api/v1",
                    "repository": REPOSITORY,
                    "run_id": "7",
                    "run_number": "3",
                    "workflow_ref": f"{REPOSITORY}/.forgejo/workflows/{workflow.name}@{self.ref}",
                    "token": TOKEN,
                },
                "inputs": self.inputs,
                "secrets": self.secrets,
                "needs": needs or {},
                "matrix": matrix or {},
            },
            workspace=base / "workspace",
            actions={CHECKOUT: self.checkout, UPLOAD: self.upload, DOWNLOAD: self.download},
            programs={"nix": NIX.replace("@NIX@", shutil.which("nix") or "nix")},
            environment={"NIX_CONF_DIR": str(self.directory / "conf")},
        )
        self.jobs[shown] = runner
        return runner.job(workflow, name)

    def checkout(self, runner: Runner, inputs: dict[str, str]) -> dict[str, str]:
        """Check out what the event names."""
        assert inputs["persist-credentials"] == "false"
        github = runner.contexts["github"]
        run("git", "clone", "--quiet", "--no-checkout", self.flake.top, runner.workspace)
        run("git", "-C", runner.workspace, "checkout", "--quiet", "--detach", github["sha"])
        return {}

    def upload(self, _runner: Runner, inputs: dict[str, str]) -> dict[str, str] | None:
        """Keep a directory; empty directories in it are lost, as with the real one."""
        source, target = Path(inputs["path"]), self.artifacts / inputs["name"]
        files = [file for file in source.rglob("*") if file.is_file()] if source.is_dir() else []
        if not files:
            return None if inputs["if-no-files-found"] == "error" else {}
        for file in files:
            kept = target / file.relative_to(source)
            kept.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, kept)
        return {}

    def download(self, _runner: Runner, inputs: dict[str, str]) -> dict[str, str]:
        """Put all artifacts that match into one directory."""
        assert inputs["merge-multiple"] == "true"
        for artifact in sorted(self.artifacts.glob(inputs["pattern"])):
            shutil.copytree(artifact, inputs["path"], dirs_exist_ok=True)
        return {}

    def release(self) -> bool:
        """Run the workflow of boot images: as a forge does, each job when those before it succeeded."""
        plan = self.job(BOOT_IMAGES, "plan")
        if not self.jobs["plan"].succeeded:
            return False
        needs = {"plan": {"outputs": plan, "result": "success"}}
        strategy = read(BOOT_IMAGES).jobs["build"]["strategy"]
        rows = evaluate(strategy["matrix"].removeprefix("${{").removesuffix("}}"), {"needs": needs})["include"]
        for row in rows:
            self.job(BOOT_IMAGES, "build", needs=needs, matrix=row)
        if not all(self.jobs[f"build {row['name']}"].succeeded for row in rows):
            return False
        self.job(BOOT_IMAGES, "publish", needs=needs | {"build": {"outputs": {}, "result": "success"}})
        return self.jobs["publish"].succeeded

    def said(self) -> str:
        """Return everything that was logged, and shown."""
        return "".join(
            f"== {name}: {step.name}: {step.outcome}\n{step.output}"
            for name, job in self.jobs.items()
            for step in job.ran
        ) + "".join(job.summary for job in self.jobs.values())

    def published(self, tag: str) -> dict[str, bytes]:
        """Return what everybody sees of a release, by name."""
        return {
            path.removeprefix(f"{tag}/"): data
            for path, data in self.forge.state.tree().items()
            if path.startswith(f"{tag}/")
        }

    def left_behind(self) -> list[str]:
        """Return the keys and stores that lie on machines after their jobs."""
        kinds = ("*/machine/temp/ec-*keys/*.pem", "*/machine/temp/ec-stores")
        return [str(path) for kind in kinds for path in self.directory.glob(kind)]


@pytest.fixture
def make_ci(tmp_path: Path) -> Iterator[Callable[[int], Ci]]:
    """Give a function that makes a repository with targets, and keys in the forge's secrets, so many days ago."""
    if os.geteuid() != 0:
        pytest.skip("not running as root")
    program = Path(sys.executable).with_name("ec-release")
    with ExitStack() as stack:

        def make(days: int) -> Ci:
            (tmp_path / "conf").mkdir()
            (tmp_path / "conf" / "nix.conf").write_text(NIX_CONF)
            flake = Flake(tmp_path / "flake", NAME)
            flake.begin()
            keys, token = tmp_path / "keys", tmp_path / "token"
            token.write_text(TOKEN)
            forge = stack.enter_context(serving(tmp_path / "forge"))
            there = ("--server", forge.url, "--repository", REPOSITORY, "--token-file", token)
            then = (datetime.now(UTC) - timedelta(days=days)).isoformat()
            run(program, "trust", "init", *there, "--keys", keys, "--time", then)
            (flake.top / "nixos" / "trust").mkdir(parents=True)
            shutil.copy(keys / "root.json", flake.top / "nixos" / "trust" / "root.json")
            file = flake.top / ".forgejo" / "boot-images.toml"
            file.write_text(file.read_text().replace('runner = ""', 'runner = "there"'))
            flake.commit()
            made = Ci(tmp_path, forge, flake)
            for name, roles in {"EC_RELEASE_KEYS": (), "EC_REFRESH_KEYS": ("snapshot", "timestamp")}.items():
                chosen = [word for role in roles for word in ("--role", role)]
                run(program, "ci-keys", "pack", tmp_path / name, "--keys", keys, *chosen)
                made.secrets[name] = (tmp_path / name).read_text()
            return made

        yield make


@pytest.fixture
def ci(make_ci: Callable[[int], Ci]) -> Iterator[Ci]:
    """Give a repository whose ceremony was today; at the end, all that the forge was asked was as it is described."""
    made = make_ci(0)
    yield made
    assert made.forge.violations == []


def reader(ci: Ci) -> TrustClient:
    """Return a node that has the root, and knows nothing but addresses."""
    base = f"{ci.forge.url}/{REPOSITORY}/releases/download/"
    root = (ci.flake.top / "nixos" / "trust" / "root.json").read_bytes()
    return TrustClient(
        TrustSettings(f"{base}trust/", base, root, ci.directory / "reader"), reference_time=datetime.now(UTC)
    )


@pytest.mark.nix
@pytest.mark.root
def test_a_release_by_hand(ci: Ci) -> None:
    """All targets are built, described, signed and published; `sha256sum`, a node and the boot server accept them."""
    ci.inputs = {"release_tag": "boot-v7", "targets": "", "draft": False, "prerelease": False}

    assert ci.release(), ci.said()

    rev = ci.flake.git("rev-parse", "HEAD")
    found = ci.published("boot-v7")
    systems = (NAME, f"{NAME}-iso", f"{NAME}-netboot")
    images = {f"{NAME}-netboot-boot-v7-{rev[:12]}.tar.zst", f"{NAME}-iso-boot-v7-{rev[:12]}.iso"}
    described = {f"{system}{kind}" for system in systems for kind in (".closure.json.zst", ".cdx.json")}
    assert images | described | {"provenance.intoto.json", "SHA256SUMS", "SHA256SUMS.sig"} == found.keys()
    assert [] == ci.left_behind()
    # People
    here = ci.directory / "downloaded"
    here.mkdir()
    for name, data in found.items():
        (here / name).write_bytes(data)
    assert "FAILED" not in run("sha256sum", "--check", "SHA256SUMS", cwd=here)
    # Nodes
    client = reader(ci)
    state = client.refresh()
    assert (1_795_500_000, ()) == (state.latest_version, state.expired)
    manifest = manifests.decode(found[f"{NAME}-netboot.closure.json.zst"])
    assert [f"{NAME}-netboot-boot-v7-{rev[:12]}.tar.zst"] == [artifact.name for artifact in manifest.artifacts]
    assert (rev, "boot-v7", 1_795_500_000) == (
        manifest.source.rev,
        manifest.release.tag,
        manifest.release.version,
    )
    assert () == manifests.decode(found[f"{NAME}.closure.json.zst"]).artifacts
    # The boot server
    base = f"{ci.forge.url}/{REPOSITORY}/releases/download/"
    config = ci.directory / "netboot.toml"
    config.write_text(
        f'state_dir = "{ci.directory}/netboot"\nplatforms = ["{platform.machine()}"]\n[trust]\n'
        f'root = "{ci.flake.top}/nixos/trust/root.json"\nmetadata_base = "{base}trust/"\ntarget_base = "{base}"\n'
    )
    program = Path(sys.executable).with_name("ec-netboot")
    run(program, "stage", "--config", config)
    staged = [file.read_text() for file in (ci.directory / "netboot").rglob("initrd")]
    assert ["stage 1\na tool\na layer\n"] == staged
    # The daily audit; this forge serves no git, so that what needs the source cannot be looked at.
    ci.job(REFRESH, "audit")
    assert ["request: a download with {'service'}"] == ci.forge.violations  # git asked
    ci.forge.violations.clear()
    audited = ci.jobs["audit"].ran[-1].output
    assert "undecided" in audited.lower()
    found_by = {name: result for result, name in re.findall(r"^  (\S+) +([a-z-]+) +", audited, re.MULTILINE)}
    assert "FAIL" not in found_by.values()
    looked_at = (
        "metadata",
        "history",
        "assets",
        "listing",
        "sums",
        "sums-signature",
        "manifests",
        "sbom",
        "provenance",
    )
    assert {"pass"} == {found_by[name] for name in looked_at}, audited


@pytest.mark.nix
@pytest.mark.root
def test_a_tag_that_is_pushed(ci: Ci) -> None:
    """It names the release, whose commit is the tag's; no input is given."""
    ci.flake.git("tag", "boot-v2026.11.24")
    ci.event, ci.ref = "push", "refs/tags/boot-v2026.11.24"

    assert ci.release(), ci.said()

    assert "SHA256SUMS.sig" in ci.published("boot-v2026.11.24")
    envelope = json.loads(ci.published("boot-v2026.11.24")["provenance.intoto.json"])
    assert len(envelope["signatures"]) == 1
    # A stranger, who has the root and the public repository
    outcome = run(
        *(Path(sys.executable).with_name("ec-release"), "audit", "boot-v2026.11.24"),
        *("--root", ci.flake.top / "nixos" / "trust" / "root.json", "--source", ci.flake.top),
        *("--server", ci.forge.url, "--repository", REPOSITORY),
    )
    assert outcome.startswith("boot-v2026.11.24, release 1795500000: PASSED\n")


@pytest.mark.nix
@pytest.mark.root
def test_a_draft_of_one_target(ci: Ci) -> None:
    """Readers see nothing, and nothing is signed; the same run without it publishes."""
    ci.inputs = {"release_tag": "boot-v7", "targets": "*-iso", "draft": "true", "prerelease": "false"}
    before = ci.forge.state.tree()

    assert ci.release(), ci.said()

    assert before == ci.forge.state.tree()
    assert ["build", "plan", "publish"] == sorted(name.split()[0] for name in ci.jobs)
    ci.inputs["draft"] = "false"
    ci.jobs.clear()
    shutil.rmtree(ci.artifacts)
    for job in ci.directory.glob("job-*"):
        shutil.rmtree(job)
    assert ci.release(), ci.said()
    assert f"{NAME}-iso.cdx.json" in ci.published("boot-v7")


@pytest.mark.nix
@pytest.mark.root
def test_what_is_not_reproducible_is_not_published(ci: Ci) -> None:
    """The job says which file differs, both are kept, other targets are tried, and nothing is left on the machine."""
    ci.flake.parts["LAYER"] = "cat ${tools} > $out; cat /proc/sys/kernel/random/uuid >> $out"
    ci.flake.commit()
    before = ci.forge.state.tree()

    assert not ci.release()

    assert f"{NAME}-netboot: initrd differs from byte " in ci.said()
    assert f"iso/{NAME}.iso differs from byte " in ci.said()
    kept = ci.artifacts / f"differences-{NAME}-netboot"
    assert (kept / "first" / "initrd").read_bytes() != (kept / "second" / "initrd").read_bytes()
    assert [] == list(ci.artifacts.glob("boot-image-*"))
    assert "publish" not in ci.jobs
    assert before == ci.forge.state.tree()
    assert [] == ci.left_behind()


@pytest.mark.nix
@pytest.mark.root
def test_no_secret_is_logged_and_keys_go_also_after_a_failure(ci: Ci) -> None:
    """A token that may not publish: the keys are removed all the same."""
    ci.inputs = {"release_tag": "boot-v7", "targets": NAME}
    ci.forge.plan("POST", r"/releases\b", lambda exchange: exchange.send_error(403), times=1000)

    assert not ci.release()

    outcomes = {step.name: step.outcome for step in ci.jobs["publish"].ran}
    assert ("success", "failure", "success") == (outcomes["Keys"], outcomes["Publish"], outcomes["Remove the keys"])
    assert [] == ci.left_behind()
    inner = [line for text in ci.secrets.values() for line in text.splitlines() if len(line) > 40]
    assert inner
    assert not [secret for secret in (*inner, TOKEN) if secret in ci.said()]


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"release_tag": "v7"}, "is no tag of boot images"),
        ({"release_tag": "boot-v7; id"}, "is no tag of boot images"),
        ({"targets": "ec-runner-riscv64"}, "names no target"),
        ({"targets": "$(id)"}, "names no target"),
        ({"targets": "--json"}, "names no target"),
    ],
)
def test_inputs_are_checked_before_anything_is_built(ci: Ci, inputs: dict[str, str], why: str) -> None:
    """What somebody typed is never run, and never half believed."""
    ci.inputs = inputs

    assert not ci.release()

    assert why in ci.said()
    assert ["plan"] == list(ci.jobs)


def test_a_tag_of_another_commit_is_refused(ci: Ci) -> None:
    """Also where the run was started by hand."""
    ci.flake.git("tag", "boot-v7")
    ci.flake.commit()
    ci.inputs = {"release_tag": "boot-v7"}

    assert not ci.release()

    assert "boot-v7: is commit" in ci.said()


def test_a_tag_that_is_not_on_main_is_refused(ci: Ci) -> None:
    """Nobody reviewed it; the keys are not written for it."""
    ci.flake.git("checkout", "--quiet", "-b", "topic")
    ci.flake.commit()
    ci.flake.git("tag", "boot-v7")
    ci.event, ci.ref = "push", "refs/tags/boot-v7"

    assert not ci.release()

    assert "is not on main" in ci.said()
    assert ["plan"] == list(ci.jobs)


@pytest.mark.parametrize("workflow", [BOOT_IMAGES, REFRESH], ids=lambda file: file.stem)
def test_the_mirror_makes_nothing(workflow: Path) -> None:
    """No job runs on Codeberg, whatever the event is; elsewhere those run that the event asks for."""
    for event in ("push", "schedule", "workflow_dispatch"):
        for job in read(workflow).jobs.values():
            there = {"github": {"server_url": "https://codeberg.org", "event_name": event}}
            assert not condition(job["if"], there, "success")
            assert not condition(job["if"], there, "failure")
    here = {"github": {"server_url": "https://git.example.org", "event_name": "workflow_dispatch"}}
    assert all(condition(job["if"], here, "success") for job in read(workflow).jobs.values())


def test_the_daily_refresh_holds_two_keys(make_ci: Callable[[int], Ci]) -> None:
    """It signs timestamp and snapshot anew, and leaves no key."""
    ci = make_ci(10)
    ci.event = "schedule"

    ci.job(REFRESH, "daily")

    assert ci.jobs["daily"].succeeded, ci.said()
    assert "signed:\n  - snapshot\n  - timestamp\n" in ci.said()
    assert () == reader(ci).refresh().expired
    assert [] == ci.left_behind()


def test_the_daily_refresh_raises_the_alarm(make_ci: Callable[[int], Ci]) -> None:
    """After signing what it can: targets are due, which a run by hand then signs."""
    ci = make_ci(60)
    ci.event = "schedule"
    ci.job(REFRESH, "daily")

    assert not ci.jobs["daily"].succeeded
    assert "targets expires on" in ci.said()
    assert () == reader(ci).refresh().expired

    ci.job(REFRESH, "targets")
    assert ci.jobs["targets"].succeeded, ci.said()
    assert "  - targets\n" in ci.jobs["targets"].ran[2].output
    assert [] == ci.left_behind()


def test_there_is_nothing_to_audit_before_the_first_release(ci: Ci) -> None:
    """That is no failure."""
    ci.job(REFRESH, "audit")

    assert ["success", "success", "skipped"] == [step.outcome for step in ci.jobs["audit"].ran], ci.said()


def test_the_daily_refresh_refuses_the_key_of_releases(ci: Ci) -> None:
    """Whoever stored the wrong secret learns of it, before somebody steals it from there."""
    ci.secrets["EC_REFRESH_KEYS"] = ci.secrets["EC_RELEASE_KEYS"]
    ci.job(REFRESH, "daily")

    assert not ci.jobs["daily"].succeeded
    assert "signs as targets" in ci.said()
    assert [] == ci.left_behind()
