"""The application under what the plan gives it: a read-only root, its volumes, its user, no capability."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.tofu.pod import TOKEN

if TYPE_CHECKING:
    from tests.tofu.conftest import Tofu

ROOT = Path(__file__).parents[2]


@pytest.fixture
def specification(tofu: Tofu) -> dict[str, Any]:
    """Return the pod of a plan, with the files of its configuration."""
    found = {one["type"]: one["values"] for one in tofu.planned()["planned_values"]["root_module"]["resources"]}
    pod: dict[str, Any] = found["kubernetes_stateful_set_v1"]["spec"][0]["template"][0]["spec"][0]
    return pod | {"files": found["kubernetes_config_map_v1"]["data"]}


def run(specification: dict[str, Any], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Have the pod live and end in namespaces of its own."""
    for program in ("unshare", "setpriv", "chroot", "ip"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program} on the PATH")
    file, scratch = tmp_path / "pod.json", tmp_path / "scratch"
    file.write_text(json.dumps(specification))
    scratch.mkdir()
    return subprocess.run(
        ["unshare", "--mount", "--net", "--propagation=private", sys.executable, "-m", "tests.tofu.pod", file, scratch],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.root
def test_it_starts_answers_and_stops(specification: dict[str, Any], tmp_path: Path) -> None:
    """Probes are answered, the token of the secret is the administrator's, and a stop is a stop."""
    done = run(specification, tmp_path)
    assert 0 == done.returncode, done.stderr
    seen = json.loads(done.stdout)

    assert {
        "startup_probe": 200, "liveness_probe": 200, "readiness_probe": 200, "nodes": 200, "stranger": 401,
    } == seen["probes"], seen["log"]  # fmt: skip
    assert 0 == seen["code"]
    assert "stopped" in seen["log"]


@pytest.mark.root
def test_no_secret_is_printed_and_the_database_is_its_own(specification: dict[str, Any], tmp_path: Path) -> None:
    """Nothing on standard output, no token in the log, and files that nobody else reads."""
    seen = json.loads(run(specification, tmp_path).stdout)

    assert "" == seen["printed"]
    assert TOKEN not in seen["log"]
    assert [10001, "0o600"] == seen["state"]["dashboard.sqlite"]


@pytest.mark.root
def test_without_the_volume_it_does_not_start(specification: dict[str, Any], tmp_path: Path) -> None:
    """The root file system is read-only indeed: nothing could be kept in it."""
    container = specification["container"][0]
    container["volume_mount"] = [place for place in container["volume_mount"] if place["name"] != "state"]

    done = run(specification, tmp_path)
    assert 0 == done.returncode, done.stderr
    seen = json.loads(done.stdout)

    assert {} == seen["probes"]
    assert 3 == seen["code"]
    assert "read-only file system" in seen["log"]
