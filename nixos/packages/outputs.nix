# `packages`: our programs, and one attribute an image. `meta.ci` says what CI does with it (docs/decisions/0014).
{
  inputs,
  system,
  lib,
  pkgs,
}:
let
  inherit (inputs.self) nixosConfigurations;

  # By name: a list of packages must not cost an evaluation of all systems. A check holds names to platforms.
  ofSystem = lib.filterAttrs (
    name: _: lib.hasPrefix "ec-runner-${lib.removeSuffix "-linux" system}" name
  ) nixosConfigurations;

  # What of a system is built to boot it.
  image =
    name: it:
    let
      inherit (it.config.system) build;
    in
    if lib.hasSuffix "-netboot" name then
      build.netboot
    else if lib.hasSuffix "-iso" name then
      build.isoImage
    else if lib.hasSuffix "-sdimage" name then
      build.sdImage
    else
      build.toplevel;
in
{
  inherit (pkgs)
    ec-closure
    ec-fetch
    ec-install
    ec-netboot
    ec-node
    ec-provision
    ec-release
    ec-verify
    runner-dashboard
    runner-dashboard-image
    ;
  default = pkgs.ec-verify;
}
// lib.mapAttrs image ofSystem
