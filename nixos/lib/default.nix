# What the parts share, and (`public`) what a fleet's own flake calls.
{ inputs }:
let
  inherit (inputs.nixpkgs) lib;
in
{
  platforms = [
    "x86_64-linux"
    "aarch64-linux"
  ];

  public = {
    # Markdown: `nix eval --raw .#lib.optionsReference > docs/options.md`
    optionsReference = import ./options-reference.nix { inherit inputs; };
    lockedSources = import ./locked-sources.nix { inherit lib; };
    runnerSystem = import ./runner-system.nix { inherit inputs; };
  };
}
