# Whom the runners of this repository believe, and whom they tell: a module, because it is part of every image.
#
# The key ceremony (docs/trust.md) ends with its root.json copied here. Until then, and in every clone without it, nothing
# is pinned: runners verify, end undecided and say why (EV113). Keys of a demonstration never belong here.
{ lib, ... }:
let
  root = ./root.json;
in
{
  services.every-channel.verify.trust.root = lib.mkIf (builtins.pathExists root) (lib.mkDefault root);
}
