# `nix fmt`.
{ pkgs, ... }:
pkgs.nixfmt-tree.override { nixfmtPackage = import ./packages/nixfmt.nix { inherit pkgs; }; }
