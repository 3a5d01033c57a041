# `nixosModules`: one feature a file; `default` is all of them, switched off until asked for.
{ inputs, lib }:
let
  # Every module finds our packages in `pkgs`, and the overlay is applied once however many are imported.
  packages = {
    key = "ec-runner#packages";
    nixpkgs.overlays = [ inputs.self.overlays.default ];
  };
  module = file: {
    key = "ec-runner#${baseNameOf file}";
    imports = [
      packages
      file
    ];
  };
  modules = lib.mapAttrs (_: module) {
    dashboard = ./dashboard.nix;
    ec-node = ./ec-node.nix;
    netboot = ./netboot.nix;
    provision = ./provision.nix;
    runner = ./runner.nix;
    verify = ./verify.nix;
  };
in
modules // { default.imports = lib.attrValues modules; }
