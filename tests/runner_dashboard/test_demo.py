"""The demonstration: machines that do not exist, with signatures that anybody can check."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from ec_closure import dsse, intoto, report
from runner_dashboard.demo import fleet
from runner_dashboard.ingest.envelope import key_of

if TYPE_CHECKING:
    from pathlib import Path

NODES = 100


@pytest.fixture
def populated(dashboard: Any) -> Any:
    """Give a dashboard with a simulated fleet."""
    assert fleet.populate(dashboard.services, NODES, dashboard.clock.now) == dashboard.count("reports")
    return dashboard


def test_every_kind_of_trouble_is_there_to_be_looked_at(populated: Any) -> None:
    """Altered, cloned, silent, outdated, undecided, waiting; and most are well."""
    found = populated.get("/api/v1/overview").json

    assert (NODES, 3) == (found["enrolled"], found["pending"])
    assert found["verdicts"]["passed"] > NODES / 2
    assert min(found["verdicts"]["failed"], found["verdicts"]["undecided"], found["silent"]) > 0
    assert {"RD001"} == {one["code"] for one in found["suspicions"]}
    assert {"EV104", "EV111", "EV201"} == {one["code"] for one in found["findings"]}
    assert len(found["releases"]) > 1
    assert populated.get("/api/v1/outliers").json["paths"]


def test_its_evidence_can_be_verified_without_the_dashboard(populated: Any) -> None:
    """With the node's key alone."""
    node, *_ = populated.get("/api/v1/nodes").json["nodes"]
    entry, *_ = populated.get(f"/api/v1/nodes/{node['id']}/reports").json["reports"]
    envelope = populated.get(f"/api/v1/reports/{entry['digest']}/envelope").body
    payload = dsse.verify(envelope, intoto.PAYLOAD_TYPE, [key_of(node["public_key"])])

    assert report.decode(payload).predicate.node == node["claimed_name"]


def test_what_happens_to_a_machine_is_the_same_every_time() -> None:
    """The rare and bad before the common."""
    fates = [fleet.fate(number) for number in range(1000)]

    assert {"altered", "cloned", "silent", "outdated", "undecided", "well"} == set(fates)
    assert fates.count("altered") < fates.count("undecided") < fates.count("well")


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    """On loopback, with a token to sign in, and its data where it was told to keep them."""
    command = [sys.executable, "-m", "runner_dashboard", "demo", "--nodes", "3", "--port", "0", "--keep"]
    with subprocess.Popen([*command, str(tmp_path / "kept")], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = "".join(process.stdout.readline() for _ in range(3))
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+", said)
        (token,) = re.findall(r"ecd_\S+", said)
        request = urllib.request.Request(f"{address}/api/v1/overview", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - ours
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
            assert json.load(answer)["enrolled"] == 3
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)

    assert process.returncode == 0
    assert (tmp_path / "kept" / "dashboard.sqlite").exists()
