# `ec-install`: makes a runner out of a machine's disk.
{
  lib,
  writeShellApplication,
  coreutils,
  gnused,
  ec-provision,
  dosfstools,
  e2fsprogs,
  gnugrep,
  nixos-install,
  systemd,
  util-linux,
}:
writeShellApplication {
  name = "ec-install";
  runtimeInputs = [
    coreutils
    gnused
    ec-provision
    dosfstools
    e2fsprogs
    gnugrep
    nixos-install
    systemd
    util-linux
  ];
  text = lib.readFile ../install/ec-install;
  meta.description = "Install a runner on a local disk, or reinstall it and keep its data";
}
