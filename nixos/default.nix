# The outputs of the flake, one line a part.
{ inputs }:
let
  inherit (inputs) self nixpkgs;
  inherit (nixpkgs) lib;

  ours = import ./lib { inherit inputs; };
  systems = import ./images { inherit lib; };

  eachSystem = lib.genAttrs ours.platforms;
  pkgsFor = eachSystem (
    system:
    import nixpkgs {
      inherit system;
      overlays = [ self.overlays.default ];
    }
  );
  perSystem =
    file:
    eachSystem (
      system:
      import file {
        inherit inputs system lib;
        pkgs = pkgsFor.${system};
      }
    );
in
{
  lib = ours.public;
  overlays.default = import ./packages { inherit (inputs) pyproject-nix; };
  nixosModules = import ./modules { inherit inputs lib; };
  nixosConfigurations = lib.mapAttrs (
    name: module:
    ours.public.runnerSystem {
      inherit name;
      modules = [
        module
        ./trust
      ];
    }
  ) systems;
  packages = perSystem ./packages/outputs.nix;
  apps = perSystem ./apps.nix;
  checks = perSystem ./checks;
  devShells = perSystem ./shells.nix;
  formatter = perSystem ./formatter.nix;
}
