"""The publisher's units, as NixOS renders them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNITS = """
flake: builtins.mapAttrs (_: unit: unit.text) {
  inherit
    ((flake.nixosConfigurations.ec-runner-x86_64.extendModules {
      modules = [ { services.every-channel.ec-node.credentials.token = "/run/keys/token"; } ];
    }).config.systemd.units)
    "ec-node@.service" "ec-node-broadcasts.service" "ec-node.slice";
}
"""


def test_broadcasts_run_with_few_rights_and_before_everything_else(
    evaluate: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """Their slice stands beside system.slice, or their weight would be that of one service among many."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on the PATH")
    done = evaluate("--apply", UNITS)
    assert done.returncode == 0, done.stderr
    units = json.loads(done.stdout)
    exposure = {}
    for name in ("ec-node@.service", "ec-node-broadcasts.service"):
        file = tmp_path / name.replace("@", "@a")
        file.write_text(units[name])
        said = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", file], check=True, capture_output=True, text=True
        )
        exposure[name] = float(re.findall(r"exposure level for .*: ([0-9.]+)", said.stdout)[0])

    assert all(found <= 2.0 for found in exposure.values()), exposure
    publisher = units["ec-node@.service"].splitlines()
    assert {"User=ec-node", "Slice=ec-node.slice", "Restart=always", "RestartMaxDelaySec=60"} <= set(publisher)
    assert "LoadCredential=token:/run/keys/token" in publisher
    assert "PartOf=ec-provision.service" in units["ec-node-broadcasts.service"].splitlines()
    assert "CPUWeight=1000" in units["ec-node.slice"]
