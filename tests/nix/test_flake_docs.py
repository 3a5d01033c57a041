"""RUNNER_IMAGES.md names outputs that exist, and its example of a fleet's flake is a flake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = (Path(__file__).parents[2] / "RUNNER_IMAGES.md").read_text()
# Names of outputs, and where the result of a variant lies, of one system each
ASKED = """flake: let
  names = builtins.attrNames;
  file = name: flake.nixosConfigurations.${name}.config.image.filePath;
in {
  packages = builtins.mapAttrs (_: names) flake.packages;
  systems = names flake.nixosConfigurations;
  modules = names flake.nixosModules;
  lib = names flake.lib;
  files = [ (file "ec-runner-x86_64-iso") (file "ec-runner-aarch64-sdimage") ];
}"""


@pytest.fixture(scope="module")
def outputs(value_of: Callable[[str], Any]) -> dict[str, Any]:
    """Give what the flake has, asked once."""
    found: dict[str, Any] = value_of(ASKED)
    return found


def named(pattern: str) -> set[str]:
    """Return what *pattern* finds in the document; something must be."""
    found = set(re.findall(pattern, TEXT))
    assert found, pattern
    return found


def test_every_output_that_is_named_exists(outputs: dict[str, Any]) -> None:
    """And every system has its row in the table."""
    packages = {name for those in outputs["packages"].values() for name in those}
    systems = set(outputs["systems"])

    assert named(r"\.#((?!nixosConfigurations)[\w-]+)") <= packages
    assert named(r"\.?#?nixosConfigurations\.(ec-runner-[\w-]+)\.config") <= systems
    assert named(r"(?m)^\| `(ec-runner-[\w-]+)` \|") == systems
    assert systems <= packages
    assert named(r"`nixosModules\.([\w-]+)`") <= set(outputs["modules"])
    assert named(r"`lib\.([\w-]+)`") <= set(outputs["lib"])


def test_results_lie_where_they_are_said_to_lie(outputs: dict[str, Any]) -> None:
    """A name of nixpkgs that changes would send people looking."""
    for file in outputs["files"]:
        assert f"`result/{file}`" in TEXT


def test_the_fleets_own_flake_evaluates(value_of: Callable[[str], Any]) -> None:
    """Its systems are called what they are called, pin its root, and carry its own source and ours."""
    (example,) = re.findall(r"```nix\n(\{.*?^\})\n```", TEXT, re.DOTALL | re.MULTILINE)
    rooted = example.replace("./root.json", '(builtins.toFile "root.json" "{}")')
    assert rooted != example

    fleet = value_of(f"""ours: let
      example = {rooted};
      outputs = example.outputs {{ inherit self; ec-runner = ours; }};
      self = {{ inherit (ours) outPath; inputs.ec-runner = ours; }} // outputs;
    in builtins.mapAttrs (_: it: let cfg = it.config.services.every-channel; in {{
      drv = builtins.unsafeDiscardStringContext it.config.system.build.toplevel.drvPath;
      attr = cfg.verify.settings.source.attr;
      root = toString cfg.verify.settings.trust.root;
      carries = builtins.elem (toString ours.outPath) (map toString cfg.runner.flake.inputs);
    }}) self.nixosConfigurations // {{ netboot = self.packages.x86_64-linux.netboot.drvPath; }}""")

    assert fleet.pop("netboot").endswith("-tree.drv")
    assert {"ec-runner-x86_64", "ec-runner-x86_64-netboot"} == fleet.keys()
    for name, system in fleet.items():
        assert system["drv"].endswith(".drv")
        assert f"nixosConfigurations.{name}.config.system.build.toplevel" == system["attr"]
        assert system["root"].endswith("-root.json")
        assert system["carries"]
