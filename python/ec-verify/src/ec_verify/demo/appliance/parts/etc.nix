# /etc, with the flake that it was built from and the inputs that the flake's lock names.
{ tools, self, channels, units, users, tls, os-release, firmware, ... }:
tools.tree "etc" "etc" { } ''
  file hostname appliance
  file sudoers 'root ALL=(ALL) ALL'
  file sudoers.mode 0440
  file sudoers.uid +0
  file sudoers.gid +0
  link os-release ${os-release}
  link users.json ${users}
  link tls.conf ${tls}
  directory firmware
  link firmware/tuner.bin ${firmware}
  directory systemd
  link systemd/system ${units}/system
  directory every-channel
  link every-channel/flake ${self}
  directory every-channel/inputs
  link every-channel/inputs/channels ${channels}
''
