{
  description = "Runner images that prove what they run";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    pyproject-nix = {
      url = "github:pyproject-nix/pyproject.nix";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  # A list of parts. Nothing here or below reads `self.rev`, `self.lastModified` or `self.sourceInfo`: CI sees a git
  # repository and a node a store path, and both must get the same derivations (docs/decisions/0013).
  outputs = inputs: import ./nixos { inherit inputs; };
}
