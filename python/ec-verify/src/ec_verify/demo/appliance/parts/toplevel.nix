# The directory that a boot loader starts, laid out as NixOS does.
{ tools, kernel, initrd, modules, etc, software, activation, ... }:
{ name, params, specialisation ? null }:
let
  files = tools.tree "appliance-${name}-files" "system" { } ''
    program init '#!${software}/sw/bin/sh
    exec /run/current-system/activate
    '
    program activate '#!${software}/sw/bin/sh
    . ${activation}
    '
    file kernel-params '${params} loglevel=4'
    file nixos-version 26.05
    file system ${tools.system}
    link kernel ${kernel}/boot/bzImage
    link initrd ${initrd}
    link kernel-modules ${modules}/lib
    link etc ${etc}/etc
    link sw ${software}/sw
    directory specialisation
    ${if specialisation == null then "" else "link specialisation/${specialisation.specialisationName} ${specialisation}"}
  '';
in
# The links can be made anywhere; what they lead to runs on one kind of machine.
tools.farm "appliance-${name}" [ "${files}/system" ] (builtins.toFile "generation.nix" "[ ]\n")
// { inherit (tools) system; specialisationName = name; }
