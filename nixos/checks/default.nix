{
  inputs,
  system,
  lib,
  pkgs,
}:
{ }
