# The appliance, put together. Every part is one file.
{ self, channels, tools }:
let
  parts = {
    inherit self channels tools;
    runtime = import ./runtime.nix parts;
    unit-generator = import ./unit-generator.nix parts;
    kernel = import ./kernel.nix parts;
    modules = import ./modules.nix parts;
    firmware = import ./firmware.nix parts;
    initrd = import ./initrd.nix parts;
    publisher = import ./publisher.nix parts;
    editor = import ./editor.nix parts;
    software = import ./software.nix parts;
    dhparams = import ./dhparams.nix parts;
    tls = import ./tls.nix parts;
    users = import ./users.nix parts;
    units = import ./units.nix parts;
    os-release = builtins.toFile "os-release" "ID=appliance\nNAME=Appliance\n";
    etc = import ./etc.nix parts;
    activation = import ./activation.nix parts;
    rescue = import ./toplevel.nix parts { name = "rescue"; params = "single"; };
    toplevel = import ./toplevel.nix parts { name = "system"; params = "quiet"; specialisation = parts.rescue; };
  };
in
parts
