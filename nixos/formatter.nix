# `nix fmt`.
{ pkgs, ... }:
pkgs.nixfmt-tree.override {
  nixfmtPackage = import ./packages/nixfmt.nix { inherit pkgs; };
  # What the demonstration ships is a machine of its own, whose attacks edit its text.
  settings.excludes = [ "python/**" ];
}
