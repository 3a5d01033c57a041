{ inputs, system, lib, pkgs }:
{ }
