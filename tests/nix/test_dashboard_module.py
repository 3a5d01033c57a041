"""The dashboard's module: units as closed as they are said to be, and mistakes that end an evaluation."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 2.0
SYSTEM = """
flake: let
  system = flake.inputs.nixpkgs.lib.nixosSystem {
    system = "x86_64-linux";
    modules = [
      flake.nixosModules.dashboard
      {
        fileSystems."/" = { device = "/dev/x"; fsType = "ext4"; };
        boot.loader.grub.enable = false;
        system.stateVersion = "26.05";
        services.every-channel.dashboard = { enable = true; backup = "daily"; bootstrapTokenFile = "FILE"; };
      }
    ];
  };
  inherit (system) config;
in {
  units = builtins.mapAttrs (name: unit: unit.text) {
    inherit (config.systemd.units) "runner-dashboard.service" "runner-dashboard-backup.service";
  };
  inherit (config.services.every-channel.dashboard) settings;
  failed = map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions);
}
"""


@pytest.fixture(scope="module")
def found(value_of: Callable[[str], Any]) -> Any:
    """Give what a machine with the module has."""
    return value_of(SYSTEM.replace("FILE", "/run/keys/token"))


@pytest.mark.parametrize("name", ["runner-dashboard.service", "runner-dashboard-backup.service"])
def test_a_unit_is_as_closed_as_it_says(found: Any, tmp_path: Path, name: str) -> None:
    """By systemd's own measure."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on the PATH")
    file = tmp_path / name
    file.write_text(found["units"][name])
    command = ["systemd-analyze", "security", "--offline=true", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in ran.stderr:
        pytest.skip("this systemd-analyze judges no unit files")

    overall = re.search(r"Overall exposure level for .*: ([0-9.]+)", ran.stdout)
    assert overall is not None, ran.stderr
    assert float(overall[1]) <= LIMIT


def test_the_settings_are_ones_that_the_program_takes(found: Any) -> None:
    """Each key, and the credential in the place of the file."""
    import msgspec

    from runner_dashboard.config import Config

    config = msgspec.convert(found["settings"], Config)

    assert found["failed"] == []
    assert "/run/credentials/runner-dashboard.service/bootstrap-token" == config.identity.bootstrap_token_file
    assert "LoadCredential=bootstrap-token:/run/keys/token" in found["units"]["runner-dashboard.service"]


def test_postgresql_is_named_by_a_credential(value_of: Callable[[str], Any]) -> None:
    """Its address may hold a password; a copy of a file is none of it."""
    system = SYSTEM.replace('bootstrapTokenFile = "FILE"', 'databaseUrlFile = "/run/keys/database"')
    made = value_of(system)
    unit = made["units"]["runner-dashboard.service"]

    assert made["settings"]["database"] == {"url_file": "/run/credentials/runner-dashboard.service/database-url"}
    assert "LoadCredential=database-url:/run/keys/database" in unit
    assert "RestrictAddressFamilies=AF_UNIX" in unit
    assert ["pg" in message.lower() or "postgresql" in message.lower() for message in made["failed"]] == [True]


def test_a_secret_in_the_store_is_refused(value_of: Callable[[str], Any]) -> None:
    """Everybody could read it there."""
    failed = value_of(SYSTEM.replace("FILE", "/nix/store/0000000000000000000000000000000a-token"))["failed"]

    assert [True] == ["into the store" in message for message in failed]
