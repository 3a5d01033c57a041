"""The module of the boot server: its configuration is valid, its units have the rights they need and no more."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from ec_netboot import config
from ec_netboot.boot.dnsmasq import PORTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 2.0
EVERYTHING = """{
  enable = true;
  platforms = [ "x86_64" "aarch64" ];
  release = {
    root = "/etc/root.json";
    metadataBase = "https://forge.example.org/trust/";
    targetBase = "https://forge.example.org/";
    tag = "boot-v1";
    tokenFile = "/run/keys/release-token";
  };
  listenIP = "10.20.30.2";
  port = 80;
  hostname = "boot.example.org";
  allowedCIDRs = [ "10.20.30.0/24" ];
  chainTokenFile = "/run/keys/chain-token";
  kernelParameters = [ "console=ttyS0" ];
  interface = "eth0";
  openFirewall = true;
  tftp = { enable = true; address = "10.20.30.2"; bios = "/b"; efiX86_64 = "/e"; efiAarch64 = "/a"; };
  proxyDhcp = { enable = true; subnet = "10.20.30.0/24"; };
  settings.keep = 2;
}"""
LITTLE = """{
  enable = true;
  release = { metadataBase = "https://forge.example.org/trust/"; targetBase = "https://forge.example.org/"; };
}"""
WRONG = """{
  enable = true;
  release = { metadataBase = "https://forge.example.org/trust/"; tarball = "/a"; };
  chainTokenFile = "${builtins.storeDir}/token";
  tftp.enable = true;
  proxyDhcp.enable = true;
}"""
FUNCTION = """flake:
let
  evaluate = netboot: (flake.inputs.nixpkgs.lib.nixosSystem {
    modules = [
      flake.nixosModules.default
      {
        nixpkgs.hostPlatform = "x86_64-linux";
        boot.isContainer = true;
        system.stateVersion = "26.05";
        services.every-channel.netboot = netboot;
      }
    ];
  }).config;
  others = builtins.filter (name: builtins.match "ec-netboot.*" name == null);
  told = c: {
    units = builtins.mapAttrs (_: unit: unit.text)
      (removeAttrs c.systemd.units (others (builtins.attrNames c.systemd.units)));
    inherit (c.services.every-channel.netboot) settings;
    failed = map (one: one.message) (builtins.filter (one: !one.assertion) c.assertions);
    firewall = {
      inherit (c.networking.firewall) allowedTCPPorts allowedUDPPorts;
      eth0 = c.networking.firewall.interfaces.eth0 or null;
    };
  };
in
{
  everything = told (evaluate EVERYTHING);
  little = told (evaluate LITTLE);
  wrong = { inherit (told (evaluate WRONG)) failed; };
}
"""


@pytest.fixture(scope="module")
def systems(evaluate: Callable[..., subprocess.CompletedProcess[str]]) -> dict[str, Any]:
    """Give three systems, evaluated at once: one with every option, one with few, one with mistakes."""
    function = FUNCTION.replace("EVERYTHING", EVERYTHING).replace("LITTLE", LITTLE).replace("WRONG", WRONG)
    done = evaluate("--apply", function)
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", ["everything", "little"])
def test_the_configuration_is_one(systems: dict[str, Any], name: str) -> None:
    """What options make of netboot.toml, the program accepts."""
    made = msgspec.convert(systems[name]["settings"], type=config.Config)
    config._check(made)

    assert made.trust.metadata_base == "https://forge.example.org/trust/"
    assert systems[name]["failed"] == []


def test_every_option_arrives(systems: dict[str, Any]) -> None:
    """Under the key that it is about."""
    assert systems["everything"]["settings"] == {
        "platforms": ["x86_64", "aarch64"],
        "keep": 2,
        "trust": {
            "root": "/etc/root.json",
            "metadata_base": "https://forge.example.org/trust/",
            "target_base": "https://forge.example.org/",
            "token_file": "/run/credentials/ec-netboot-stage.service/release-token",
        },
        "release": {"tag": "boot-v1"},
        "script": {"url": "http://boot.example.org:80/", "kernel_parameters": ["console=ttyS0"]},
        "http": {"address": "10.20.30.2", "port": 80, "allowed": ["10.20.30.0/24"]},
        "tftp": {
            "enabled": True,
            "address": "10.20.30.2",
            "interface": "eth0",
            "bios": "/b",
            "efi_x86_64": "/e",
            "efi_aarch64": "/a",
            "program": systems["everything"]["settings"]["tftp"]["program"],
        },
        "proxy_dhcp": {"enabled": True, "subnet": "10.20.30.0/24"},
    }
    assert systems["everything"]["settings"]["tftp"]["program"].endswith("/bin/dnsmasq")


@pytest.mark.parametrize("name", ["everything", "little"])
def test_units_are_as_closed_as_they_can_be(systems: dict[str, Any], name: str, tmp_path: Path) -> None:
    """By systemd's own measure."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze on the PATH")
    for unit, text in systems[name]["units"].items():
        if unit.endswith(".service"):
            (tmp_path / unit).write_text(text)
            command = ["systemd-analyze", "security", "--offline=true", str(tmp_path / unit)]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if "unrecognized option" in ran.stderr:
                pytest.skip("this systemd-analyze judges no unit files")
            found = re.search(r"Overall exposure level for .*: ([0-9.]+)", ran.stdout)
            assert found is not None, ran.stderr
            assert float(found[1]) <= LIMIT, unit


def capabilities(text: str) -> set[str]:
    """Return the capabilities that a unit is given, which are all that it may have."""
    given, most = (
        {one for line in re.findall(rf"^{key}=(.*)$", text, re.MULTILINE) for one in line.split()}
        for key in ("AmbientCapabilities", "CapabilityBoundingSet")
    )
    assert given == most
    return given


def test_rights_are_where_they_are_needed(systems: dict[str, Any]) -> None:
    """Who speaks HTTP has none; a port below 1024 needs one; who answers firmware has those of a DHCP server."""
    few, all_of_them = systems["little"]["units"], systems["everything"]["units"]

    assert few.keys() == {"ec-netboot.service", "ec-netboot-stage.service", "ec-netboot-stage.timer"}
    assert all_of_them.keys() == few.keys() | {"ec-netboot-boot.service"}
    assert capabilities(few["ec-netboot.service"]) == capabilities(few["ec-netboot-stage.service"]) == set()
    assert capabilities(all_of_them["ec-netboot.service"]) == {"CAP_NET_BIND_SERVICE"}
    assert capabilities(all_of_them["ec-netboot-stage.service"]) == set()
    assert capabilities(all_of_them["ec-netboot-boot.service"]) == {
        "CAP_NET_ADMIN",
        "CAP_NET_BIND_SERVICE",
        "CAP_NET_RAW",
    }


def test_secrets_are_credentials(systems: dict[str, Any]) -> None:
    """Handed to the unit that needs them, and in no configuration."""
    units = systems["everything"]["units"]

    assert "LoadCredential=release-token:/run/keys/release-token\n" in units["ec-netboot-stage.service"]
    for unit in ("ec-netboot.service", "ec-netboot-boot.service"):
        assert "LoadCredential=chain-token:/run/keys/chain-token\n" in units[unit]
    assert "chain-token" not in json.dumps(systems["everything"]["settings"])


def test_the_firewall_opens_what_is_served(systems: dict[str, Any]) -> None:
    """On the one interface, and nothing where nobody asked for it."""
    opened = systems["everything"]["firewall"]["eth0"]

    assert (opened["allowedTCPPorts"], sorted(opened["allowedUDPPorts"])) == ([80], [67, 69, 4011])
    assert opened["allowedUDPPortRanges"] == [{"from": PORTS[0], "to": PORTS[1]}]
    assert 80 not in systems["everything"]["firewall"]["allowedTCPPorts"]
    assert 8080 not in systems["little"]["firewall"]["allowedTCPPorts"]


def test_mistakes_end_the_evaluation(systems: dict[str, Any]) -> None:
    """With what is missing, by its option."""
    text = "\n".join(systems["wrong"]["failed"])

    for said in (
        "release: metadataBase and targetBase go together",
        "release: tarball and sha256 go together",
        "tftp.address",
        "proxyDhcp.subnet",
        "would put a secret into the store",
    ):
        assert said in text
