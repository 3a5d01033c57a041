"""Each module can be imported alone, by a machine that is no runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ALONE = """flake: let
  with' = module: (flake.inputs.nixpkgs.lib.nixosSystem {
    modules = [ module { nixpkgs.hostPlatform = "x86_64-linux"; } ];
  }).config;
in {
  # An option that nobody declares fails any question.
  alone = builtins.mapAttrs (_: module: (with' module).networking.hostName) flake.nixosModules;
  verify = builtins.unsafeDiscardStringContext (with' {
    imports = [ flake.nixosModules.verify ];
    services.every-channel.verify.enable = true;
  }).environment.etc."ec-verify/verify.toml".source.drvPath;
}"""


def test_each_module_is_one(value_of: Callable[[str], Any]) -> None:
    """A boot server needs no publisher, and who only verifies need not become an appliance."""
    found = value_of(ALONE)

    assert {"default", "netboot", "provision", "runner", "verify"} <= found["alone"].keys()
    assert found["verify"].endswith("-verify.toml.drv")
