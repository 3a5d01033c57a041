# `nix run .#NAME`.
{ lib, pkgs, ... }:
let
  app = description: program: {
    type = "app";
    inherit program;
    meta = { inherit description; };
  };
  ours = lib.genAttrs [
    "ec-install"
    "ec-netboot"
    "ec-node"
    "ec-provision"
    "ec-release"
    "ec-verify"
    "runner-dashboard"
  ] (name: app pkgs.${name}.meta.description (lib.getExe pkgs.${name}));
in
ours
// {
  default = ours.ec-verify;
  demo = app "Build, sign, publish, verify and attack a small appliance on real Nix" (
    lib.getExe pkgs.ec-demo
  );
}
