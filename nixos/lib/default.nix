# What the parts share, and (`public`) what a fleet's own flake calls.
{ inputs }:
let
  inherit (inputs.nixpkgs) lib;
  platforms = [
    "x86_64-linux"
    "aarch64-linux"
  ];
in
{
  inherit platforms;

  public = {
    # Markdown: `nix eval --raw .#lib.optionsReference > docs/options.md`
    optionsReference = import ./options-reference.nix { inherit inputs; };
    lockedSources = import ./locked-sources.nix { inherit lib; };
    # What checks with virtual machines install: nodes evaluate their own system by such a name, too.
    testSystems = lib.genAttrs platforms (import ../checks/vm/systems.nix { inherit inputs lib; });
    runnerSystem = import ./runner-system.nix { inherit inputs; };
  };
}
