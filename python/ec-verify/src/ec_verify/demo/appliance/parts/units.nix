# One unit for each channel that the locked input lists, and those that every appliance has.
{ tools, channels, unit-generator, publisher, ... }:
let
  unit = name: description: command:
    tools.sh "unit-${name}.service" { generator = unit-generator; } ''
      . "$generator"
      unit '${description}' '${command}' > "$out"
    '';
  broadcast = { name, multiplex }: {
    name = "publisher-${name}";
    value = unit "publisher-${name}" "Broadcast of ${name}" "${publisher} --multiplex ${multiplex} --tls /etc/tls.conf";
  };
  units = builtins.listToAttrs (map broadcast (import "${channels}/channels.nix")) // {
    sshd = unit "sshd" "Remote shell" "/run/current-system/sw/bin/sshd -D";
    verify = unit "verify" "Verification" "/run/current-system/sw/bin/ec-verify run";
  };
in
tools.tree "system-units" "system" { } (builtins.concatStringsSep "\n" (
  map (name: "link ${name}.service ${units.${name}}") (builtins.attrNames units)
))
