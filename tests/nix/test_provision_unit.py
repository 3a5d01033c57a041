"""The unit that applies a node's own data, as NixOS renders it for a runner."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from ec_provision import sources, state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ASKED = """
flake: let inherit (flake.nixosConfigurations.ec-runner-x86_64-netboot) config; in {
  provision = config.systemd.units."ec-provision.service".text;
  broadcasts = config.systemd.units."ec-node-broadcasts.service".text;
  keys = config.services.openssh.authorizedKeysFiles;
}
"""


def test_a_runner_applies_its_data_before_anybody_gets_in(
    evaluate: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """With few rights, from the places of the program, without waiting for a network or a disk that nobody has."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on the PATH")
    done = evaluate("--apply", ASKED)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    unit = set(found["provision"].splitlines())

    (tmp_path / "ec-provision.service").write_text(found["provision"])
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", tmp_path / "ec-provision.service"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert float(re.findall(r"exposure level for .*: ([0-9.]+)", said.stdout)[0]) <= 4.0
    assert {f"ImportCredential={sources.NAME}", f"ReadWritePaths=/{state.DIRECTORY}", "ProtectSystem=strict"} <= unit
    mounted = f"/{sources.PARTITION}".removesuffix(f"/{sources.NAME}")
    assert f"MountImages=-/dev/disk/by-label/EC-NODE:{mounted}:root:ro,nosuid,nodev,noexec" in unit
    (before,) = (line for line in unit if line.startswith("Before="))
    assert {"sshd.service", "timers.target"} <= set(before.removeprefix("Before=").split())
    assert "network-online" not in found["provision"]
    assert f"/{state.DIRECTORY}/ssh/%u" in found["keys"]


def test_other_data_reach_the_broadcasts(evaluate: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """`systemctl restart ec-provision` has them looked at again, also when none is left."""
    done = evaluate("--apply", ASKED)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    assert "Wants=ec-node-broadcasts.service" in found["provision"].splitlines()
    broadcasts = found["broadcasts"].splitlines()
    assert "PartOf=ec-provision.service" in broadcasts
    assert not [line for line in broadcasts if line.startswith("ConditionDirectoryNotEmpty")]
