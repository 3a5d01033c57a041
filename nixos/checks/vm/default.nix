# Tests with virtual machines: one behaviour a file. They need KVM to be quick, and no network.
arguments:
let
  inherit (arguments) lib;
  vm = import ./lib.nix arguments;
  tests = [
    "install"
    "persistence"
    "read-only-root"
    "netboot"
    "node-data"
    "reinstall"
    "source"
    "rebuild"
    "tampering"
    "upgrade"
  ];
in
lib.listToAttrs (
  map (
    name:
    lib.nameValuePair "vm-${name}" (vm.test name (import (./. + "/${name}.nix") (arguments // vm)))
  ) tests
)
